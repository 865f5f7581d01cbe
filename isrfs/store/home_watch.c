/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two states:
 *
 *             a read fails and so does a look at the home; or none is answered for silent_ms
 *   PRESENT ---------------------------------------------------------------------------------> AWAY
 *           <---------------------------------------------------------------------------------
 *             a look is answered: the thread's, every probe_ms and when a read is answered that
 *             was under way
 *
 * An error other than -EHOSTDOWN may be one object's only (a bad sector): it is the home's if the
 * home's record cannot be read either. A home that is away for a moment only (its child process was
 * replaced) is not spoken of: the first line comes with the first look that fails.
 *
 * The thread sleeps while nothing is under way; the first read wakes it, and then it looks once in
 * a while until all is quiet again. `lock` guards everything and is not held during calls. */
#include "isrfs/store/home_watch.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/clock.h"
#include "isrfs/base/log.h"

#define PROBE_MS  1000u
#define SILENT_MS 5000u
#define LOOK_MS   2000
#define PAUSE_MS  100 /* before a second try; more before each that follows */
#define PAUSE_MAX 1000

struct home_watch {
    struct store base; /* what is read; its `free` does nothing */
    struct store *home;
    char *record;
    void (*interrupt)(struct store *home);
    int64_t probe_ms, silent_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;    /* the thread is to look */
    pthread_cond_t changed; /* it is back, waiting has ended, or who waits is to be asked */
    bool away;              /* all below: lock */
    bool told;              /* that it is away has been said */
    bool sleeping;          /* the thread, until it is woken */
    bool again;             /* it is to look at once */
    bool looking;           /* the thread */
    bool ending, ended, cancelled;
    time_t since;      /* when it went away */
    unsigned running;  /* reads under way */
    int64_t answer_at; /* the last answer, or when the first of those reads began */
    unsigned waiting;
};

/* With the lock held. */
static void wake(struct home_watch *w)
{
    w->sleeping = false;
    pthread_cond_signal(&w->wake);
}

/* With the lock held. */
static void set_away(struct home_watch *w)
{
    if (w->away)
        return;
    w->away = true;
    w->since = time(NULL);
    wake(w);
}

/* With the lock held. */
static void set_present(struct home_watch *w)
{
    if (!w->away)
        return;
    w->away = false;
    w->answer_at = clock_ms();
    if (w->told)
        log_info("the home %s is back after %lld s; %u reads go on", w->home->name,
                 (long long)(time(NULL) - w->since), w->waiting + w->running);
    w->told = false;
    pthread_cond_broadcast(&w->changed);
}

/* With the lock held: has the thread look at once. */
static void look_again(struct home_watch *w)
{
    w->again = true;
    wake(w);
}

static int stop(void *ctx, const char *name)
{
    (void)ctx, (void)name;
    return 1;
}

/* Is it there? */
static bool look(struct home_watch *w)
{
    CLEANUP_BUFFER struct buffer out = {0};
    int r = w->record ? store_get_record(w->home, w->record, &out)
                      : store_each_record(w->home, "versions", stop, NULL);
    return r >= 0 || r == -ENOENT || r == -EBADMSG;
}

/* Says nothing about the home: an answer about the object, or a want of this process. */
static bool is_answer(int r)
{
    return r >= 0 || r == -ENOENT || r == -EBADMSG;
}

static bool is_own(int r)
{
    return r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EAGAIN || r == -EINVAL ||
           r == -ENOTSUP;
}

static int begin(struct home_watch *w)
{
    LOCK_SCOPE(&w->lock);
    if (w->away)
        return -EHOSTDOWN;
    if (w->running++ == 0)
        w->answer_at = clock_ms();
    if (w->sleeping)
        wake(w);
    return 0;
}

static int end(struct home_watch *w, int r)
{
    bool doubtful = !is_answer(r) && !is_own(r) && r != -EHOSTDOWN;
    bool there = is_answer(r) || (doubtful && look(w));
    LOCK_SCOPE(&w->lock);
    w->running--;
    if (there || is_own(r)) {
        w->answer_at = clock_ms();
        if (there && w->away) /* it may have answered before it went away */
            look_again(w);
        return r;
    }
    set_away(w);
    return -EHOSTDOWN;
}

static struct home_watch *watch_of(struct store *s)
{
    return (struct home_watch *)s;
}

static int watch_get(struct store *s, const struct object_id *id, struct buffer *out)
{
    struct home_watch *w = watch_of(s);
    int r = begin(w);
    return r < 0 ? r : end(w, store_get(w->home, id, out));
}

static int watch_has(struct store *s, const struct object_id *id)
{
    struct home_watch *w = watch_of(s);
    int r = begin(w);
    return r < 0 ? r : end(w, store_has(w->home, id));
}

static void keep(struct store *s)
{
    (void)s;
}

static const struct store_ops watch_ops = {.get = watch_get, .has = watch_has, .free = keep};

/* With the lock held: once for each time that it is away. */
static void tell(struct home_watch *w)
{
    struct tm tm;
    char when[32] = "?";
    if (!w->away || w->told)
        return;
    if (localtime_r(&w->since, &tm))
        strftime(when, sizeof when, "%H:%M:%S", &tm);
    log_warning("the home %s is away since %s; %u reads wait", w->home->name, when,
                w->waiting + w->running);
    w->told = true;
}

/* With the lock held, which is let go of. */
static void probe(struct home_watch *w)
{
    pthread_mutex_unlock(&w->lock);
    bool there = look(w);
    pthread_mutex_lock(&w->lock);
    if (there)
        set_present(w);
    else
        tell(w);
}

static void *run(void *arg)
{
    struct home_watch *w = arg;
    LOCK_SCOPE(&w->lock);
    while (!w->ending) {
        if (w->away) {
            w->looking = true;
            w->again = false;
            probe(w);
            w->looking = false;
            pthread_cond_broadcast(&w->changed);
            if (w->away && !w->ending && !w->again)
                clock_wait(&w->wake, &w->lock, clock_ms() + w->probe_ms);
        } else if (w->running == 0) {
            w->sleeping = true;
            while (w->sleeping && !w->ending)
                clock_wait(&w->wake, &w->lock, INT64_MAX);
        } else if (clock_ms() - w->answer_at >= w->silent_ms) {
            set_away(w);
            tell(w); /* a look may take as long as all that hangs */
        } else {
            clock_wait(&w->wake, &w->lock, w->answer_at + w->silent_ms);
        }
    }
    w->ended = true;
    pthread_cond_broadcast(&w->changed);
    return NULL;
}

static int make_locks(struct home_watch *w)
{
    pthread_mutex_init(&w->lock, NULL);
    clock_cond_init(&w->wake);
    clock_cond_init(&w->changed);
    return -pthread_create(&w->thread, NULL, run, w);
}

static void release(struct home_watch *w)
{
    pthread_cond_destroy(&w->changed);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w->record);
    free(w);
}

int home_watch_new(const struct home_watch_config *config, struct home_watch **ret)
{
    struct home_watch *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->base = (struct store){
        .ops = &watch_ops,
        .name = config->home->name,
        .codec = config->home->codec,
        .counters = config->home->counters,
        .checked = true,
    };
    w->home = config->home;
    w->interrupt = config->interrupt;
    w->record = config->record ? strdup(config->record) : NULL;
    w->probe_ms = config->probe_ms ? config->probe_ms : PROBE_MS;
    w->silent_ms = config->silent_ms ? config->silent_ms : SILENT_MS;
    w->away = config->away;
    w->since = time(NULL);
    if (config->record && !w->record) {
        free(w);
        return -ENOMEM;
    }
    int r = make_locks(w);
    if (r < 0) {
        release(w);
        return r;
    }
    *ret = w;
    return 0;
}

/* With the lock held, which is let go of. */
static void interrupt(struct home_watch *w)
{
    pthread_mutex_unlock(&w->lock);
    if (w->interrupt)
        w->interrupt(w->home);
    pthread_mutex_lock(&w->lock);
}

void home_watch_free(struct home_watch *w)
{
    if (!w)
        return;
    {
        LOCK_SCOPE(&w->lock);
        w->ending = true;
        wake(w);
        while (!w->ended) {
            if (w->looking)
                interrupt(w);
            clock_wait(&w->changed, &w->lock, clock_ms() + PAUSE_MS); /* it may just begin one */
        }
    }
    pthread_join(w->thread, NULL);
    release(w);
}

struct store *home_watch_store(struct home_watch *w)
{
    return &w->base;
}

/* With the lock held: until it is back, or, if it is, for a moment: something else may be wrong. */
static int wait_more(struct home_watch *w, const struct home_watch_patience *patience)
{
    int64_t pause = (int64_t)patience->tries * PAUSE_MS;
    int64_t earliest = clock_ms() + (pause < PAUSE_MAX ? pause : PAUSE_MAX);
    while (!w->cancelled) {
        int64_t now = clock_ms();
        if (patience->given_up && patience->given_up(patience->ctx))
            return -EINTR;
        if (now >= patience->deadline)
            return -ETIMEDOUT;
        if (!w->away && now >= earliest)
            return 0;
        bool pausing = !w->away && earliest < patience->deadline;
        clock_wait(&w->changed, &w->lock, pausing ? earliest : patience->deadline);
    }
    return -ECANCELED;
}

int home_watch_wait(struct home_watch *w, struct home_watch_patience *patience)
{
    LOCK_SCOPE(&w->lock);
    if (w->waiting >= HOME_WATCH_WAITERS_MAX)
        return -EBUSY;
    w->waiting++;
    int r = wait_more(w, patience);
    w->waiting--;
    patience->tries++;
    return r;
}

void home_watch_ask(struct home_watch *w)
{
    LOCK_SCOPE(&w->lock);
    pthread_cond_broadcast(&w->changed);
}

void home_watch_cancel(struct home_watch *w)
{
    LOCK_SCOPE(&w->lock);
    w->cancelled = true;
    pthread_cond_broadcast(&w->changed);
    if (w->away)
        interrupt(w);
}

void home_watch_look(struct home_watch *w)
{
    int64_t end = clock_ms() + LOOK_MS;
    LOCK_SCOPE(&w->lock);
    if (!w->away)
        return;
    look_again(w);
    while (w->away && w->again && clock_ms() < end)
        clock_wait(&w->changed, &w->lock, end);
    while (w->away && w->looking && clock_ms() < end)
        clock_wait(&w->changed, &w->lock, end);
}

void home_watch_state(struct home_watch *w, struct home_watch_state *ret)
{
    LOCK_SCOPE(&w->lock);
    *ret = (struct home_watch_state){
        .away = w->away, .since = w->since, .waiting = w->waiting + w->running};
}
