/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fork and exec of a program of its own, rather than a mere fork of this one: of this process, with
 * its threads, keys and /dev/fuse, nothing is left in a child that may hang for ever.
 *
 * In the child descriptor 0 is the control socket, 1 and 2 a socket for messages: the daemon's own
 * standard error may be a pipe that somebody reads to its end. It is in a session of its own, so
 * that no terminal's ^C ends it before those who still need it. */
#include "isrfs/store/remote_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "isrfs/base/log.h"

#define LOG_LINES_MAX 1000u
#define LOG_LINE_MAX  1024u

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Both ends, above 2 so that dup2 onto 0, 1, 2 in the child cannot meet one of them. */
static int socket_pair(int *ret_ours, int *ret_theirs)
{
    int raw[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, raw) < 0)
        return -errno;
    *ret_ours = fcntl(raw[0], F_DUPFD_CLOEXEC, 3);
    *ret_theirs = fcntl(raw[1], F_DUPFD_CLOEXEC, 3);
    close(raw[0]);
    close(raw[1]);
    return *ret_ours < 0 || *ret_theirs < 0 ? -EMFILE : 0;
}

/* The child's ends. */
struct ends {
    int control, log;
    size_t count;
    int passed[REMOTE_FDS_MAX]; /* the memory, then a socket for each slot */
};

static void ends_close(struct ends *e)
{
    close_one(&e->control);
    close_one(&e->log);
    for (size_t i = 0; i < e->count; i++)
        close_one(&e->passed[i]);
}

/* Nobody can cut it, which would end a reader with SIGBUS. */
static int make_memory(size_t size, int *ret_fd, uint8_t **ret)
{
    CLEANUP_CLOSE int fd = memfd_create("isrfs-store", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -errno;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    madvise(map, size, MADV_DONTFORK);
    *ret = map;
    *ret_fd = steal_fd(&fd);
    return 0;
}

static int make_channels(struct remote_child *c, struct ends *e)
{
    int r = socket_pair(&c->control, &e->control);
    r = r < 0 ? r : socket_pair(&c->log, &e->log);
    r = r < 0 ? r : make_memory((size_t)c->slots * REMOTE_SLOT_SIZE, &e->passed[0], &c->memory);
    if (r == 0)
        e->count = 1;
    for (unsigned i = 0; i < c->slots && r == 0; i++) {
        e->passed[e->count] = -1;
        r = socket_pair(&c->sockets[i], &e->passed[e->count++]);
    }
    if (r == 0 && fcntl(e->log, F_SETFL, O_NONBLOCK) < 0) /* what is not read does not stop it */
        r = -errno;
    return r;
}

/* Between fork and exec: only what a signal handler may do. */
_Noreturn static void become(const char *program, const struct ends *e)
{
    sigset_t none;
    sigemptyset(&none);
    struct sigaction plain = {.sa_handler = SIG_DFL};
    for (int s = 1; s < NSIG; s++)
        sigaction(s, &plain, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(e->control, 0) >= 0 && dup2(e->log, 1) >= 0 && dup2(e->log, 2) >= 0 &&
        close_range(3, ~0u, 0) == 0 && chdir("/") == 0) {
        setsid();
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        char *const argv[] = {(char *)(uintptr_t)program, NULL};
        execv(program, argv);
    }
    struct remote_ready failed = {.result = -errno};
    uint8_t message[64];
    send(0, message, remote_protocol_put_ready(message, &failed), MSG_NOSIGNAL);
    _exit(127);
}

static int run(struct remote_child *c, const char *program, const struct ends *e,
               const struct remote_hello *hello)
{
    uint8_t message[REMOTE_MESSAGE_MAX];
    size_t size = remote_protocol_put_hello(message, hello);
    int r = remote_protocol_send(c->control, message, size, e->passed, e->count);
    if (r < 0)
        return r;
    c->pid = fork();
    if (c->pid < 0)
        return -errno;
    if (c->pid == 0)
        become(program, e);
    c->pidfd = pidfd_open(c->pid, 0);
    return c->pidfd < 0 ? -errno : 0;
}

int remote_child_start(const char *program, const struct remote_hello *hello,
                       struct remote_child **ret)
{
    struct remote_child *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->pid = c->pidfd = c->control = c->log = -1;
    c->slots = hello->slots;
    for (unsigned i = 0; i < REMOTE_SLOTS_MAX; i++)
        c->sockets[i] = -1;
    CLEANUP(ends_close) struct ends ends = {.control = -1, .log = -1};
    int r = make_channels(c, &ends);
    r = r < 0 ? r : run(c, program, &ends, hello);
    if (r == 0) {
        *ret = c;
        return 0;
    }
    remote_child_close(c);
    if (c->pid > 0) /* it has no pidfd, but has been killed and was not yet near any home */
        waitpid(c->pid, NULL, 0);
    free(c);
    return r;
}

void remote_child_close(struct remote_child *c)
{
    if (c->closed)
        return;
    c->closed = true;
    if (c->pidfd >= 0)
        pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
    else if (c->pid > 0)
        kill(c->pid, SIGKILL);
    close_one(&c->control);
    close_one(&c->log);
    for (unsigned i = 0; i < c->slots; i++)
        close_one(&c->sockets[i]);
    if (c->memory)
        munmap(c->memory, (size_t)c->slots * REMOTE_SLOT_SIZE);
    c->memory = NULL;
}

bool remote_child_ended(struct remote_child *c)
{
    struct pollfd end = {c->pidfd, POLLIN, 0};
    if (c->pid > 0 && poll(&end, 1, 0) > 0 && (end.revents & POLLIN)) {
        waitpid(c->pid, NULL, WNOHANG);
        c->pid = -1;
    }
    return c->pid < 0;
}

void remote_child_free(struct remote_child *c)
{
    if (!c)
        return;
    remote_child_close(c);
    close_one(&c->pidfd);
    free(c);
}

/* A line of the child's log in this process's. */
static void say(char *line)
{
    static const char mark[] = "isrfs: ", error[] = "error: ", warning[] = "warning: ";
    char clean[LOG_LINE_MAX];
    const char *text = log_clean(clean, sizeof clean, line);
    if (strncmp(text, mark, strlen(mark)) == 0)
        text += strlen(mark);
    if (strncmp(text, error, strlen(error)) == 0)
        log_error("%s", text + strlen(error));
    else if (strncmp(text, warning, strlen(warning)) == 0)
        log_warning("%s", text + strlen(warning));
    else
        log_info("%s", text);
}

void remote_child_relay_log(struct remote_child *c)
{
    char message[LOG_LINE_MAX];
    while (c->log >= 0) {
        ssize_t n = recv(c->log, message, sizeof message - 1, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0 || c->log_lines >= LOG_LINES_MAX) {
            close_one(&c->log);
            return;
        }
        message[n] = '\0';
        char *rest = message;
        for (char *line; (line = strsep(&rest, "\n")) && c->log_lines < LOG_LINES_MAX;)
            if (*line && !c->quiet) {
                c->log_lines++;
                say(line);
            }
    }
}
