/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Done here and not by libssh, which tries only the first of a host's addresses, waits without
 * limit for an agent, and starts a proxy's command with this process's signals blocked, so that
 * it could not be ended. */
#include "lockclient/dial.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "isrfs/base/buffer.h"
#include "isrfs/base/clock.h"

#define END_MS 1000 /* for a proxy's command to end */

/* 0 once FD has one of EVENTS, -ETIMEDOUT. */
static int wait_until(int fd, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - clock_ms();
        if (left <= 0)
            return -ETIMEDOUT;
        struct pollfd wait = {fd, events, 0};
        int n = poll(&wait, 1, left > 60000 ? 60000 : (int)left);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

static int connect_until(int fd, const struct sockaddr *address, socklen_t size, int64_t deadline)
{
    if (connect(fd, address, size) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -errno;
    int r = wait_until(fd, POLLOUT, deadline);
    int error = 0;
    socklen_t length = sizeof error;
    if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return -errno;
    return r < 0 ? r : -error;
}

int dial_tcp(const char *host, const char *port, int64_t deadline, const char **ret_reason)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *all = NULL;
    int error = getaddrinfo(host, port, &hints, &all);
    if (error) {
        *ret_reason = gai_strerror(error);
        return -EHOSTUNREACH;
    }
    int r = -EHOSTUNREACH;
    for (const struct addrinfo *a = all; a; a = a->ai_next) {
        CLEANUP_CLOSE int fd =
            socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
        r = fd < 0 ? -errno : connect_until(fd, a->ai_addr, a->ai_addrlen, deadline);
        if (r == 0) {
            int on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
            r = steal_fd(&fd);
            break;
        }
    }
    freeaddrinfo(all);
    if (r < 0)
        *ret_reason = strerror(-r);
    return r;
}

/* --- a command --- */

static int expand(const char *command, const char *host, const char *port, const char *user,
                  const char *original, struct buffer *out)
{
    int r = buffer_append_text(out, "exec ");
    for (const char *p = command; *p && r == 0; p++) {
        const char *value = *p != '%'     ? NULL
                            : p[1] == 'h' ? host
                            : p[1] == 'p' ? port
                            : p[1] == 'r' ? user
                            : p[1] == 'n' ? original
                            : p[1] == '%' ? "%"
                                          : NULL;
        if (*p == '%' && !value)
            return -EINVAL;
        r = value ? buffer_append_text(out, value) : buffer_append(out, p, 1);
        p += value != NULL;
    }
    return r < 0 ? r : buffer_terminate(out);
}

_Noreturn static void become(const char *command, int end)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    for (int s = 1; s < NSIG; s++)
        sigaction(s, &plain, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(end, 0) >= 0 && dup2(end, 1) >= 0) {
        close_range(3, ~0u, 0);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    }
    _exit(127);
}

int dial_command(const char *command, const char *host, const char *port, const char *user,
                 const char *original, pid_t *ret_pid)
{
    CLEANUP_BUFFER struct buffer text = {0};
    int r = expand(command, host, port, user, original, &text);
    if (r < 0)
        return r;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    CLEANUP_CLOSE int ours = ends[0];
    CLEANUP_CLOSE int theirs = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        become((const char *)text.data, theirs);
    fcntl(ours, F_SETFL, O_NONBLOCK);
    *ret_pid = pid;
    return steal_fd(&ours);
}

void dial_end(pid_t pid)
{
    CLEANUP_CLOSE int fd = pidfd_open(pid, 0);
    kill(pid, SIGTERM);
    if (fd < 0 || wait_until(fd, POLLIN, clock_ms() + END_MS) < 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* --- the agent --- */

bool dial_agent_answers(int64_t deadline)
{
    static const uint8_t list[] = {0, 0, 0, 1, 11}; /* SSH_AGENTC_REQUEST_IDENTITIES */
    const char *path = getenv("SSH_AUTH_SOCK");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || !*path || strlen(path) >= sizeof address.sun_path)
        return false;
    strcpy(address.sun_path, path);
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 &&
           connect_until(fd, (struct sockaddr *)&address, sizeof address, deadline) == 0 &&
           send(fd, list, sizeof list, MSG_NOSIGNAL) == (ssize_t)sizeof list &&
           wait_until(fd, POLLIN, deadline) == 0;
}
