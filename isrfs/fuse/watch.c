/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SIGTERM, SIGINT and SIGHUP end the mount without losing what was written. The kernel holds dirty
 * pages that only requests can hand over, so the loop must go on serving until that is done; hence
 * a thread of its own:
 *
 *   1. have the kernel hand over what it holds of each file that is open for writing (syncfs would
 *      only start that, and not wait: measured), commit;
 *   2. unmount. The loop ends by itself, and so does mount_serve;
 *   3. if files or folders are in use: say so, unmount lazily (nobody new can come in), and wait a
 *      little while for those who use it to close their files: they often get the same signal. A
 *      second signal cuts the wait short;
 *   4. hand over and commit once more, and end the loop. Who still has a file open gets ENOTCONN.
 *
 * Step 4 holds flush_lock and sets `ending`, so that nothing begins to wait for pages that will
 * never come. libfuse's loop sees that it is to end only when the thread that runs it is
 * interrupted; the signal for that does nothing else, and is sent until the loop has ended, because
 * one that comes a moment too early has no effect. */
#include "isrfs/fuse/watch.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/signalfd.h>

#include "isrfs/base/log.h"
#include "isrfs/base/process.h"

#define BUSY_WAIT_MS     3000
#define POLL_MS          50
#define FUSERMOUNT_LIMIT 30000u
#define WAKE_LOOP        SIGUSR1

struct watch {
    struct mount *m;
    pthread_t thread, loop;
    int signals; /* signalfd */
    int ended;   /* eventfd: the loop has ended */
};

/* Waits for a signal: its number, 0 when LIMIT_MS (-1: none) are over, -1 when the loop has ended.
 */
static int wait_signal(struct watch *w, int limit_ms)
{
    struct pollfd fds[2] = {{w->signals, POLLIN, 0}, {w->ended, POLLIN, 0}};
    for (;;) {
        int n = poll(fds, 2, limit_ms);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n == 0)
            return 0;
        if (n > 0 && fds[1].revents)
            return -1;
        struct signalfd_siginfo info;
        if (n > 0 && read(w->signals, &info, sizeof info) == sizeof info)
            return (int)info.ssi_signo;
    }
}

static int unmount(const struct mount *m, bool lazily)
{
    if (geteuid() == 0) {
        int flags = UMOUNT_NOFOLLOW | (lazily ? MNT_DETACH : 0);
        return umount2(m->config.mountpoint, flags) < 0 ? -errno : 0;
    }
    const char *const argv[] = {"fusermount3", lazily ? "-uzq" : "-uq", "--", m->config.mountpoint,
                                NULL};
    struct process p = {.argv = argv, .output_limit = 4096, .timeout_ms = FUSERMOUNT_LIMIT};
    CLEANUP_PROCESS_RESULT struct process_result result;
    int r = process_run(&p, &result);
    return r < 0 ? r : result.status == 0 ? 0 : -EBUSY;
}

static int keep(const struct mount *m)
{
    return m->config.committer ? committer_sync(m->config.committer, false) : 0;
}

static void log_failure(const char *what, int r)
{
    if (r < 0)
        log_error("%s: %s", what, strerror(-r));
}

/* Waits until nothing of the mount is open any more, but no longer than BUSY_WAIT_MS. */
static void wait_unused(struct watch *w, unsigned own)
{
    for (int waited = 0; waited < BUSY_WAIT_MS; waited += POLL_MS)
        if (atomic_load(&w->m->open_files) <= own || wait_signal(w, POLL_MS) != 0)
            return;
}

static void end_loop(struct watch *w)
{
    fuse_session_exit(w->m->session);
    struct pollfd ended = {w->ended, POLLIN, 0};
    do
        pthread_kill(w->loop, WAKE_LOOP);
    while (poll(&ended, 1, POLL_MS) <= 0);
}

/* Steps 3 and 4. ROOT is open on the root of the mount, which keeps it reachable. */
static void detach(struct watch *w, int root)
{
    struct mount *m = w->m;
    log_warning("%s is in use: unmounting it lazily; what its users write from now on may be lost",
                m->config.mountpoint);
    int r = unmount(m, true);
    log_failure("cannot unmount", r);
    m->detached = r == 0;
    wait_unused(w, 1);
    pthread_mutex_lock(&m->flush_lock);
    atomic_store(&m->busy, writers_any(m->writers));
    log_failure("cannot take over what the kernel holds", front_flush(m, root));
    log_failure("the last changes are not kept", keep(m));
    m->ending = true;
    pthread_mutex_unlock(&m->flush_lock);
    end_loop(w);
}

static void end_session(struct watch *w, int number)
{
    struct mount *m = w->m;
    log_info("%s: committing and unmounting %s", strsignal(number), m->config.mountpoint);
    parcel_end_waits(m->config.parcel);
    int r = mount_flush(m);
    if (r == -ENOTCONN)
        return; /* unmounted by somebody else; the loop ends */
    log_failure("cannot take over what the kernel holds", r);
    log_failure("the last changes are not kept", keep(m));
    if (unmount(m, false) == 0)
        return;
    CLEANUP_CLOSE int root = front_open_root(m);
    if (root >= 0)
        detach(w, root);
}

static void *run(void *arg)
{
    struct watch *w = arg;
    int number;
    do
        number = wait_signal(w, -1);
    while (number == 0);
    if (number > 0)
        end_session(w, number);
    return NULL;
}

static void ignore(int number)
{
    (void)number;
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    struct sigaction wake = {.sa_handler = ignore};
    if (fd < 0 || sigaction(WAKE_LOOP, &wake, NULL) < 0)
        return -errno;
    return fd;
}

int watch_new(struct mount *m, struct watch **ret)
{
    CLEANUP_FREE struct watch *w = calloc(1, sizeof *w);
    CLEANUP_CLOSE int signals = open_signals();
    CLEANUP_CLOSE int ended = eventfd(0, EFD_CLOEXEC);
    if (!w || ended < 0)
        return w ? -errno : -ENOMEM;
    if (signals < 0)
        return signals;
    w->m = m;
    w->loop = pthread_self();
    w->signals = signals;
    w->ended = ended;
    int r = pthread_create(&w->thread, NULL, run, w);
    if (r != 0)
        return -r;
    signals = ended = -1;
    *ret = steal_ptr(w);
    return 0;
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    uint64_t one = 1;
    ssize_t ignored = write(w->ended, &one, sizeof one);
    (void)ignored;
    pthread_join(w->thread, NULL);
    close(w->signals);
    close(w->ended);
    free(w);
}
