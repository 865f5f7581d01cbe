/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel tells of a signal (INTERRUPT) only for requests that it sends in the caller's name and
 * waits for; not for read-ahead, nor for O_DIRECT, which it sends in the background and whose
 * caller it then holds beyond SIGKILL. Nor does INTERRUPT say whether the signal ends the process,
 * and it comes once only; programs do not expect EINTR from a disk for any other. So a thread looks
 * at the processes of all requests that wait, in /proc: a few times a second, and at once after an
 * INTERRUPT.
 *
 * It is a thread of its own because reading /proc takes a reference to a process's memory. If that
 * happens to be the last one, giving it back waits for all I/O that the process had submitted; the
 * thread that serves this I/O must not be the one that waits. (The others still end by their limits
 * or when the home is back.)
 *
 * `lock` guards the list and all that is in it. It is taken with the home_watch's lock held, or a
 * request's of libfuse, and nothing is taken within it. */
#include "isrfs/fuse/askers.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "isrfs/base/buffer.h"
#include "isrfs/base/cleanup.h"
#include "isrfs/base/clock.h"
#include "isrfs/base/io.h"

#define LOOK_MS    250
#define PROC_LIMIT 16384
/* Of the kernel's PF_ flags, as proc(5) shows them. */
#define FLAG_EXITING  0x4u
#define FLAG_SIGNALED 0x400u

struct askers {
    void (*wake)(void *ctx);
    void *ctx;
    pthread_key_t serving; /* each thread's asker */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct asker *list; /* lock, all below; in the order of their ids */
    uint64_t last_id;
    bool look_now, stop;
};

/* --- is a process ending? --- */

static int read_proc(pid_t pid, const char *file, struct buffer *out)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int r = io_read_file(AT_FDCWD, path, PROC_LIMIT, out);
    return r < 0 ? r : buffer_terminate(out);
}

static uint64_t number_after(const char *text, const char *name, int base)
{
    const char *found = strstr(text, name);
    return found ? strtoull(found + strlen(name), NULL, base) : 0;
}

static uint64_t bit(int number)
{
    return UINT64_C(1) << (number - 1);
}

/* Does STATUS (of /proc) show a signal that is about to end it? What kills is turned into SIGKILL
 * by the kernel when it is sent, but for what also dumps core. */
static bool has_deadly_signal(const char *status)
{
    uint64_t dumps = bit(SIGQUIT) | bit(SIGILL) | bit(SIGTRAP) | bit(SIGABRT) | bit(SIGBUS) |
                     bit(SIGFPE) | bit(SIGSEGV) | bit(SIGXCPU) | bit(SIGXFSZ) | bit(SIGSYS);
    uint64_t pending =
        number_after(status, "\nSigPnd:", 16) | number_after(status, "\nShdPnd:", 16);
    uint64_t kept = number_after(status, "\nSigBlk:", 16) | number_after(status, "\nSigIgn:", 16) |
                    number_after(status, "\nSigCgt:", 16);
    return (pending & bit(SIGKILL)) || (pending & dumps & ~kept);
}

/* One that ends by itself does so with the last of its threads. */
static bool is_exiting(const char *stat)
{
    unsigned flags = 0;
    int threads = 0;
    const char *after = strrchr(stat, ')');
    if (!after || sscanf(after,
                         ") %*c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
                         "%*d %d",
                         &flags, &threads) != 2)
        return false;
    return (flags & FLAG_SIGNALED) || ((flags & FLAG_EXITING) && threads <= 1);
}

/* Of a thread: 1 if its process ends, 0 if not, -ENOENT or -ESRCH if it is gone. */
static int look_at(pid_t thread, pid_t *ret_process)
{
    CLEANUP_BUFFER struct buffer status = {0}, stat = {0};
    int r = read_proc(thread, "status", &status);
    r = r < 0 ? r : read_proc(thread, "stat", &stat);
    if (r < 0)
        return r;
    *ret_process = (pid_t)number_after((const char *)status.data, "\nTgid:", 10);
    return has_deadly_signal((const char *)status.data) || is_exiting((const char *)stat.data);
}

static bool is_gone(pid_t thread)
{
    return kill(thread, 0) < 0 && errno == ESRCH;
}

/* Of a copy, whose process becomes known. A thread may end before its process does, with I/O under
 * way. What cannot be seen (another name space, a /proc that hides others' processes) counts as
 * killed by any signal. */
static bool is_ended(struct asker *copy)
{
    pid_t process = 0;
    int r = copy->thread > 0 ? look_at(copy->thread, &process) : -ENOENT;
    if (r >= 0)
        copy->process = process;
    else if (copy->process > 0)
        r = look_at(copy->process, &process);
    else
        return copy->interrupted ||
               (copy->fills_pages && copy->thread > 0 && is_gone(copy->thread));
    return r > 0 || r == -ENOENT || r == -ESRCH;
}

/* --- the thread --- */

/* The first one that waits with an id above ID, or NULL. With the lock held. */
static struct asker *find_after(struct askers *a, uint64_t id)
{
    struct asker *asker = a->list;
    while (asker && (asker->id <= id || asker->ended))
        asker = asker->next;
    return asker;
}

/* With the lock held, which is let go of. Has any of them ended? */
static bool look_at_all(struct askers *a)
{
    bool any = false;
    uint64_t id = 0;
    for (struct asker *asker; (asker = find_after(a, id)) && !a->stop;) {
        struct asker copy = *asker;
        id = copy.id;
        pthread_mutex_unlock(&a->lock);
        bool ended = is_ended(&copy);
        pthread_mutex_lock(&a->lock);
        asker = find_after(a, id - 1);
        if (!asker || asker->id != id) /* answered meanwhile */
            continue;
        asker->process = copy.process;
        asker->ended = ended;
        any |= ended;
    }
    return any;
}

static void wait_a_moment(struct askers *a)
{
    int64_t end = clock_ms() + LOOK_MS;
    bool more = true;
    while (more && !a->look_now && !a->stop)
        more = clock_wait(&a->changed, &a->lock, end);
    a->look_now = false;
}

static void *run(void *arg)
{
    struct askers *a = arg;
    LOCK_SCOPE(&a->lock);
    while (!a->stop) {
        if (!a->list) {
            pthread_cond_wait(&a->changed, &a->lock);
            continue;
        }
        if (look_at_all(a)) {
            pthread_mutex_unlock(&a->lock);
            a->wake(a->ctx);
            pthread_mutex_lock(&a->lock);
        }
        wait_a_moment(a);
    }
    return NULL;
}

static void release(struct askers *a)
{
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    pthread_key_delete(a->serving);
    free(a);
}

int askers_new(void (*wake)(void *ctx), void *ctx, struct askers **ret)
{
    struct askers *a = calloc(1, sizeof *a);
    if (!a)
        return -ENOMEM;
    a->wake = wake;
    a->ctx = ctx;
    int r = pthread_key_create(&a->serving, NULL);
    if (r != 0) {
        free(a);
        return -r;
    }
    pthread_mutex_init(&a->lock, NULL);
    clock_cond_init(&a->changed);
    r = pthread_create(&a->thread, NULL, run, a);
    if (r != 0) {
        release(a);
        return -r;
    }
    *ret = a;
    return 0;
}

void askers_free(struct askers *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->stop = true;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    release(a);
}

/* --- requests --- */

void askers_begin(struct askers *a, struct asker *asker, fuse_req_t req, bool fills_pages)
{
    *asker = (struct asker){.askers = a, .req = req, .fills_pages = fills_pages};
    pthread_setspecific(a->serving, asker); /* if that fails it waits as long as it has to */
}

void askers_end(struct asker *asker)
{
    struct askers *a = asker->askers;
    pthread_setspecific(a->serving, NULL);
    if (asker->id == 0)
        return;
    fuse_req_interrupt_func(asker->req, NULL, NULL);
    LOCK_SCOPE(&a->lock);
    DL_DELETE(a->list, asker);
}

/* Called by libfuse, also from within fuse_req_interrupt_func. */
static void note_interrupt(fuse_req_t req, void *data)
{
    (void)req;
    struct asker *asker = data;
    struct askers *a = asker->askers;
    LOCK_SCOPE(&a->lock);
    asker->interrupted = a->look_now = true;
    pthread_cond_signal(&a->changed);
}

static void add(struct askers *a, struct asker *asker)
{
    const struct fuse_ctx *caller = fuse_req_ctx(asker->req);
    {
        LOCK_SCOPE(&a->lock);
        asker->thread = caller->pid;
        asker->id = ++a->last_id;
        DL_APPEND(a->list, asker);
        a->look_now = true;
        pthread_cond_signal(&a->changed);
    }
    fuse_req_interrupt_func(asker->req, note_interrupt, asker);
}

bool askers_given_up(void *askers)
{
    struct askers *a = askers;
    struct asker *asker = pthread_getspecific(a->serving);
    if (!asker)
        return false;
    if (asker->id == 0)
        add(a, asker);
    LOCK_SCOPE(&a->lock);
    return asker->ended;
}
