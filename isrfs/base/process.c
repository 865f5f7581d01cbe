/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One poll loop feeds standard input and drains both outputs, so that neither side can block the
 * other. The child is made with fork and exec; whether exec failed comes back through a
 * close-on-exec pipe. */
#include "isrfs/base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "isrfs/base/clock.h"

#define ERROR_LIMIT 4096

char *process_helper(const char *name)
{
    const char *folder = getenv("ISR_LIBEXEC");
    char *path;
    return asprintf(&path, "%s/%s", folder && *folder ? folder : LIBEXECDIR, name) < 0 ? NULL
                                                                                       : path;
}

struct pipes {
    int in[2], out[2], err[2], exec[2];
};

static void close_both(int fd[2])
{
    cleanup_close(&fd[0]);
    cleanup_close(&fd[1]);
    fd[0] = fd[1] = -1;
}

static void pipes_close(struct pipes *p)
{
    close_both(p->in);
    close_both(p->out);
    close_both(p->err);
    close_both(p->exec);
}

/* Above 2, so that dup2 onto 0, 1, 2 in the child cannot meet one of them. */
static int open_pipe(int fd[2])
{
    int raw[2];
    if (pipe2(raw, O_CLOEXEC) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        fd[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, 3);
        close(raw[i]);
    }
    return fd[0] < 0 || fd[1] < 0 ? -EMFILE : 0;
}

static int pipes_open(struct pipes *p)
{
    int r = open_pipe(p->in);
    r = r < 0 ? r : open_pipe(p->out);
    r = r < 0 ? r : open_pipe(p->err);
    return r < 0 ? r : open_pipe(p->exec);
}

_Noreturn static void become(const struct process *p, const struct pipes *pipes)
{
    sigset_t none;
    sigemptyset(&none);
    struct sigaction plain = {.sa_handler = SIG_DFL};
    for (int s = 1; s < NSIG; s++)
        sigaction(s, &plain, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(pipes->in[0], 0) >= 0 && dup2(pipes->out[1], 1) >= 0 && dup2(pipes->err[1], 2) >= 0) {
        int keep = pipes->exec[1];
        if (keep > 3)
            close_range(3, (unsigned)keep - 1, 0);
        close_range((unsigned)keep + 1, ~0u, 0);
        char *const *argv = (char *const *)(const void *)p->argv;
        if (p->envp)
            execvpe(argv[0], argv, (char *const *)(const void *)p->envp);
        else
            execvp(argv[0], argv);
    }
    int error = errno;
    ssize_t ignored = write(pipes->exec[1], &error, sizeof error);
    (void)ignored;
    _exit(127);
}

/* Reads what is there. 1 goes on, 0 at the end, -EFBIG beyond LIMIT when STRICT (else the rest is
 * thrown away). */
static int drain(int fd, struct buffer *out, size_t limit, bool strict)
{
    char part[16384];
    ssize_t n = read(fd, part, sizeof part);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 1 : -errno;
    if (n == 0)
        return 0;
    size_t room = limit - out->size;
    if ((size_t)n > room && strict)
        return -EFBIG;
    int r = buffer_append(out, part, (size_t)n < room ? (size_t)n : room);
    explicit_bzero(part, (size_t)n);
    return r < 0 ? r : 1;
}

/* Writes what fits of the rest. 1 while some is left, 0 when done or when the child reads no more.
 */
static int feed(int fd, const struct process *p, size_t *done)
{
    if (*done < p->input_size) {
        ssize_t n = write(fd, (const char *)p->input + *done, p->input_size - *done);
        if (n < 0)
            return errno == EINTR || errno == EAGAIN;
        *done += (size_t)n;
    }
    return *done < p->input_size;
}

static int converse(const struct process *p, struct pipes *pipes, int64_t end,
                    struct process_result *ret)
{
    size_t fed = 0;
    fcntl(pipes->in[1], F_SETFL, O_NONBLOCK);
    while (pipes->out[0] >= 0 || pipes->err[0] >= 0) {
        if (pipes->in[1] >= 0 && fed == p->input_size)
            close(steal_fd(&pipes->in[1]));
        struct pollfd fds[3] = {
            {pipes->in[1], POLLOUT, 0}, {pipes->out[0], POLLIN, 0}, {pipes->err[0], POLLIN, 0}};
        int64_t left = end ? end - clock_ms() : -1;
        if (end && left <= 0)
            return -ETIMEDOUT;
        int n = poll(fds, 3, (int)left);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n <= 0)
            continue;
        if (fds[0].revents && feed(pipes->in[1], p, &fed) == 0)
            close(steal_fd(&pipes->in[1]));
        int r = fds[1].revents ? drain(pipes->out[0], &ret->out, p->output_limit, true) : 1;
        if (r < 0)
            return r;
        if (r == 0)
            close(steal_fd(&pipes->out[0]));
        r = fds[2].revents ? drain(pipes->err[0], &ret->err, ERROR_LIMIT, false) : 1;
        if (r < 0)
            return r;
        if (r == 0)
            close(steal_fd(&pipes->err[0]));
    }
    return 0;
}

/* Waits for the child's end until END (0: for ever); one that runs on is killed. */
static int wait_for(pid_t pid, int64_t end, int *ret_status)
{
    int status, r = 0;
    CLEANUP_CLOSE int fd = end ? pidfd_open(pid, 0) : -1;
    struct pollfd wait = {fd, POLLIN, 0};
    int64_t left = end ? end - clock_ms() : 0;
    while (fd >= 0 && (left <= 0 || poll(&wait, 1, (int)left) <= 0)) {
        left = end - clock_ms();
        if (left > 0)
            continue;
        kill(pid, SIGKILL);
        r = -ETIMEDOUT;
        break;
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return r;
}

/* Blocks SIGPIPE for this thread, so that a child that stops reading gives EPIPE. */
static void block_sigpipe(sigset_t *old)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, old);
}

static void unblock_sigpipe(const sigset_t *old)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    struct timespec none = {0};
    if (!sigismember(old, SIGPIPE))
        while (sigtimedwait(&set, NULL, &none) > 0)
            ;
    pthread_sigmask(SIG_SETMASK, old, NULL);
}

int process_run(const struct process *p, struct process_result *ret)
{
    *ret = (struct process_result){0};
    CLEANUP(pipes_close) struct pipes pipes = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    int r = pipes_open(&pipes);
    if (r < 0)
        return r;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        become(p, &pipes);
    close(steal_fd(&pipes.in[0]));
    close(steal_fd(&pipes.out[1]));
    close(steal_fd(&pipes.err[1]));
    close(steal_fd(&pipes.exec[1]));

    sigset_t old;
    block_sigpipe(&old);
    int error;
    bool failed = read(pipes.exec[0], &error, sizeof error) == sizeof error;
    int64_t end = p->timeout_ms ? clock_ms() + p->timeout_ms : 0;
    r = failed ? -error : converse(p, &pipes, end, ret);
    unblock_sigpipe(&old);
    if (r < 0)
        kill(pid, SIGKILL);
    int waited = wait_for(pid, r < 0 ? 0 : end, &ret->status);
    r = r < 0 ? r : waited;
    int t = buffer_terminate(&ret->out);
    t = t < 0 ? t : buffer_terminate(&ret->err);
    return r < 0 ? r : t;
}

void process_result_free(struct process_result *r)
{
    buffer_free_secret(&r->out);
    buffer_free(&r->err);
}
