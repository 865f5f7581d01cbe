/* SPDX-License-Identifier: GPL-3.0-or-later */
/* RUNDIR/pid carries an open-file-description lock. The hook that starts QEMU takes it and hands
 * the description on to QEMU, so the lock is held exactly as long as that hook or QEMU lives,
 * however they end:
 *
 *   lock free                        no QEMU runs; the number in the file means nothing
 *   lock held, file empty            a hook is about to start QEMU
 *   lock held, file holds a number   that is QEMU's pid
 *
 * To find it: read the number, open a pidfd, then test the lock. If it is still held then the
 * number has not been given to another process. The file itself is never removed, as a lock on a
 * removed file excludes nobody.
 *
 * The sockets are bound here and QEMU inherits them: so no path has to be quoted on its command
 * line, and a client may connect at once. QEMU's standard error is a memfd of fixed size: it can be
 * read when QEMU has failed, nothing is written to the site's disk, and a guest cannot make it
 * grow. */
#include "vmm-hooks/qemu_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "isrfs/base/clock.h"
#include "isrfs/base/io.h"
#include "isrfs/base/log.h"

#define PID_FILE      "pid"
#define QMP_NAME      "qmp.sock"
#define SERIAL_NAME   "serial.sock"
#define STDERR_ROOM   65536
#define KILL_WAIT_MS  10000
#define FIRST_FREE_FD 16 /* above those of enum qemu_process_fd */

struct qemu_process {
    char *rundir;
    char *qmp_path;
    int lock_fd;   /* RUNDIR/pid; with the lock only after qemu_process_claim */
    int pidfd;     /* -1 until it is known */
    int stderr_fd; /* the memfd, -1 if not started by us */
    pid_t pid;
};

static struct qemu_process *process_new(const char *rundir)
{
    struct qemu_process *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->lock_fd = p->pidfd = p->stderr_fd = -1;
    p->rundir = strdup(rundir);
    if (!p->rundir || asprintf(&p->qmp_path, "%s/" QMP_NAME, rundir) < 0) {
        p->qmp_path = NULL;
        qemu_process_free(p);
        return NULL;
    }
    return p;
}

void qemu_process_free(struct qemu_process *p)
{
    if (!p)
        return;
    cleanup_close(&p->lock_fd);
    cleanup_close(&p->pidfd);
    cleanup_close(&p->stderr_fd);
    free(p->rundir);
    free(p->qmp_path);
    free(p);
}

pid_t qemu_process_pid(const struct qemu_process *p)
{
    return p->pid;
}

const char *qemu_process_qmp_path(const struct qemu_process *p)
{
    return p->qmp_path;
}

/* Opens PATH, which must be a folder of this user that nobody else may enter. */
static int open_private(const char *path)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
        return -EPERM;
    return steal_fd(&fd);
}

static int log_rundir(const char *rundir, int error)
{
    char name[256];
    log_clean(name, sizeof name, rundir);
    if (error == -EPERM)
        log_error("%s must belong to you and be closed to others (mode 0700)", name);
    else
        log_error("%s: %s", name, strerror(-error));
    return error;
}

static int open_pid_file(int dirfd)
{
    int fd = io_create(dirfd, PID_FILE, 0, 0600);
    if (fd != -EEXIST)
        return fd;
    fd = openat(dirfd, PID_FILE, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int qemu_process_claim(const char *rundir, struct qemu_process **ret)
{
    CLEANUP_QEMU_PROCESS struct qemu_process *p = process_new(rundir);
    if (!p)
        return -ENOMEM;
    int r = io_mkdir(AT_FDCWD, rundir, 0700);
    CLEANUP_CLOSE int dir = r == 0 || r == -EEXIST ? open_private(rundir) : r;
    if (dir < 0)
        return log_rundir(rundir, dir);
    p->lock_fd = open_pid_file(dir);
    if (p->lock_fd < 0)
        return log_rundir(rundir, p->lock_fd);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(p->lock_fd, F_OFD_SETLK, &lock) < 0)
        return errno == EAGAIN || errno == EACCES ? -EBUSY : log_rundir(rundir, -errno);
    r = io_ftruncate(p->lock_fd, 0);
    if (r < 0)
        return log_rundir(rundir, r);
    *ret = steal_ptr(p);
    return 0;
}

/* The number in the pid file, 0 if there is none. */
static pid_t read_pid(int fd)
{
    char text[16] = {0};
    ssize_t n = io_pread(fd, text, sizeof text - 1, 0);
    long pid = n > 0 && text[n - 1] == '\n' ? strtol(text, NULL, 10) : 0;
    return pid > 1 && pid < INT32_MAX ? (pid_t)pid : 0;
}

static bool is_locked(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int qemu_process_find(const char *rundir, struct qemu_process **ret)
{
    CLEANUP_QEMU_PROCESS struct qemu_process *p = process_new(rundir);
    if (!p)
        return -ENOMEM;
    CLEANUP_CLOSE int dir = open_private(rundir);
    if (dir < 0)
        return dir == -ENOENT ? -ESRCH : log_rundir(rundir, dir);
    p->lock_fd = openat(dir, PID_FILE, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (p->lock_fd < 0)
        return errno == ENOENT ? -ESRCH : log_rundir(rundir, -errno);
    p->pid = read_pid(p->lock_fd);
    p->pidfd = p->pid ? pidfd_open(p->pid, 0) : -1;
    if (!is_locked(p->lock_fd))
        return -ESRCH;
    if (p->pidfd < 0)
        return -EBUSY;
    *ret = steal_ptr(p);
    return 0;
}

/* Binds RUNDIR/NAME and listens. */
static int listen_at(const char *rundir, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", rundir, name);
    if (n < 0 || (size_t)n >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    int r = io_unlink(AT_FDCWD, address.sun_path); /* of a QEMU that was killed */
    if (r < 0 && r != -ENOENT)
        return r;
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0)
        return -errno;
    return steal_fd(&fd);
}

static int make_stderr(void)
{
    CLEANUP_CLOSE int fd = memfd_create("qemu-stderr", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, STDERR_ROOM) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return -errno;
    return steal_fd(&fd);
}

struct launch {
    char *const *argv;
    int given[QEMU_PROCESS_FD_END]; /* what becomes descriptor i; 0, 1, 2 included */
    int failed;                     /* pipe: errno if the program could not be run */
};

/* In the child, which writes its own pid so that there is no moment in which QEMU runs and cannot
 * be found. All descriptors first move out of the way of the numbers that they will have. */
_Noreturn static void become(const struct launch *l)
{
    setsid();
    struct sigaction plain = {.sa_handler = SIG_DFL};
    for (int s = 1; s < NSIG; s++)
        sigaction(s, &plain, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct rlimit no_core = {0, 0}; /* a core would hold the guest's memory */
    setrlimit(RLIMIT_CORE, &no_core);

    int moved[QEMU_PROCESS_FD_END], failed = fcntl(l->failed, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    char pid[16];
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    bool ok = failed >= 0 && io_pwrite(l->given[QEMU_PROCESS_FD_LOCK], pid, (size_t)n, 0) == 0;
    for (int i = 0; i < QEMU_PROCESS_FD_END; i++) {
        moved[i] = fcntl(l->given[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
        ok = ok && moved[i] >= 0;
    }
    for (int i = 0; ok && i < QEMU_PROCESS_FD_END; i++)
        ok = dup2(moved[i], i) >= 0;
    if (ok && close_range(QEMU_PROCESS_FD_END, ~0u, CLOSE_RANGE_CLOEXEC) == 0 && chdir("/") == 0)
        execv(l->argv[0], l->argv);
    int error = errno;
    ssize_t ignored = write(failed, &error, sizeof error);
    (void)ignored;
    _exit(127);
}

/* Forks and waits until the program runs. 0 or negative errno. */
static int launch(struct qemu_process *p, struct launch *l)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    CLEANUP_CLOSE int from = ends[0];
    CLEANUP_CLOSE int to = ends[1];
    l->failed = to;
    p->pid = fork();
    if (p->pid < 0)
        return -errno;
    if (p->pid == 0)
        become(l);
    p->pidfd = pidfd_open(p->pid, 0); /* a child stays until it is waited for: never another's */
    int error = p->pidfd < 0 ? errno : 0;
    close(steal_fd(&to));
    ssize_t n;
    int of_child = 0;
    do
        n = read(from, &of_child, sizeof of_child);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof of_child && error == 0)
        error = of_child;
    if (error) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
    }
    return -error;
}

int qemu_process_start(struct qemu_process *p, char *const *argv, int dirfd, bool serial)
{
    CLEANUP_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return log_rundir("/dev/null", -errno);
    CLEANUP_CLOSE int qmp = listen_at(p->rundir, QMP_NAME);
    CLEANUP_CLOSE int console = qmp >= 0 && serial ? listen_at(p->rundir, SERIAL_NAME) : -1;
    int r = qmp < 0 ? qmp : serial && console < 0 ? console : 0;
    p->stderr_fd = r < 0 ? r : make_stderr();
    if (p->stderr_fd < 0)
        return log_rundir(p->rundir, p->stderr_fd);
    struct launch l = {.argv = argv, .given = {null, null, p->stderr_fd}};
    l.given[QEMU_PROCESS_FD_DIR] = dirfd;
    l.given[QEMU_PROCESS_FD_QMP] = qmp;
    l.given[QEMU_PROCESS_FD_SERIAL] = serial ? console : null;
    l.given[QEMU_PROCESS_FD_LOCK] = p->lock_fd;
    r = launch(p, &l);
    return r < 0 ? log_rundir(argv[0], r) : 0;
}

int qemu_process_wait(struct qemu_process *p, int timeout_ms)
{
    struct pollfd wait = {p->pidfd, POLLIN, 0};
    int64_t from = clock_ms();
    int left = timeout_ms, n;
    while ((n = poll(&wait, 1, left)) < 0 && errno == EINTR) {
        if (timeout_ms < 0)
            continue;
        int64_t gone = clock_ms() - from;
        left = gone < timeout_ms ? timeout_ms - (int)gone : 0;
    }
    if (n <= 0)
        return -ETIMEDOUT;
    siginfo_t info;
    waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG); /* if it is our child */
    return 0;
}

void qemu_process_kill(struct qemu_process *p)
{
    pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0);
    if (qemu_process_wait(p, KILL_WAIT_MS) < 0)
        log_warning("QEMU (pid %d) hangs in the kernel and will end when that lets it go",
                    (int)p->pid);
}

const char *qemu_process_complaint(const struct qemu_process *p, char *out, size_t room)
{
    CLEANUP_FREE char *text = calloc(1, STDERR_ROOM + 1);
    out[0] = '\0';
    if (!text || p->stderr_fd < 0 || io_pread(p->stderr_fd, text, STDERR_ROOM, 0) < 0)
        return out;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest))
        if (!strstr(line, "warning:"))
            return log_clean(out, room, line);
    return out;
}
