/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Jobs wait in a ring. `lock` guards all of struct pool; it is held only to move a job in or out.
 *
 * pool_each shares one counter between the workers and the caller. The caller works too, so it
 * needs no free worker, and only the helpers that really began are waited for. */
#include "isrfs/base/pool.h"

#include <errno.h>
#include <stdatomic.h>

#include "isrfs/base/cleanup.h"

struct job {
    void (*fn)(void *arg);
    void *arg;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t not_empty;
    struct job *ring;        /* lock */
    size_t room, head, used; /* lock; room is constant */
    bool ending;             /* lock */
    unsigned threads;        /* constant after pool_new */
    pthread_t workers[];     /* likewise */
};

static void *work(void *arg)
{
    struct pool *p = arg;
    for (;;) {
        struct job job;
        {
            LOCK_SCOPE(&p->lock);
            while (p->used == 0 && !p->ending)
                pthread_cond_wait(&p->not_empty, &p->lock);
            if (p->used == 0)
                return NULL;
            job = p->ring[p->head];
            p->head = (p->head + 1) % p->room;
            p->used--;
        }
        job.fn(job.arg);
    }
}

struct pool *pool_new(unsigned threads, size_t queued)
{
    struct pool *p = calloc(1, sizeof *p + threads * sizeof p->workers[0]);
    if (!p)
        return NULL;
    p->room = queued ? queued : 1;
    p->ring = calloc(p->room, sizeof *p->ring);
    if (!p->ring) {
        free(p);
        return NULL;
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->not_empty, NULL);
    while (p->threads < threads) {
        int error = pthread_create(&p->workers[p->threads], NULL, work, p);
        if (error) {
            pool_free(p);
            errno = error;
            return NULL;
        }
        p->threads++;
    }
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_broadcast(&p->not_empty);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->threads; i++)
        pthread_join(p->workers[i], NULL);
    pthread_cond_destroy(&p->not_empty);
    pthread_mutex_destroy(&p->lock);
    free(p->ring);
    free(p);
}

bool pool_try_submit(struct pool *p, void (*fn)(void *arg), void *arg)
{
    LOCK_SCOPE(&p->lock);
    if (p->used == p->room)
        return false;
    p->ring[(p->head + p->used++) % p->room] = (struct job){fn, arg};
    pthread_cond_signal(&p->not_empty);
    return true;
}

struct each {
    int (*fn)(void *ctx, size_t i);
    void *ctx;
    size_t count;
    _Atomic size_t next;
    _Atomic int error;
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned helpers; /* lock: submitted and not yet finished */
};

static void each_run(struct each *e)
{
    while (atomic_load(&e->error) == 0) {
        size_t i = atomic_fetch_add(&e->next, 1);
        if (i >= e->count)
            return;
        int r = e->fn(e->ctx, i);
        int none = 0;
        if (r < 0)
            atomic_compare_exchange_strong(&e->error, &none, r);
    }
}

static void each_help(void *arg)
{
    struct each *e = arg;
    each_run(e);
    LOCK_SCOPE(&e->lock);
    if (--e->helpers == 0)
        pthread_cond_signal(&e->done);
}

/* Takes helpers back that no worker has come to: all workers may be held by something slow. Their
 * number. */
static unsigned withdraw(struct pool *p, const struct each *e)
{
    LOCK_SCOPE(&p->lock);
    size_t kept = 0;
    for (size_t i = 0; i < p->used; i++) {
        const struct job job = p->ring[(p->head + i) % p->room];
        if (job.fn != each_help || job.arg != e)
            p->ring[(p->head + kept++) % p->room] = job;
    }
    unsigned taken = (unsigned)(p->used - kept);
    p->used = kept;
    return taken;
}

int pool_each(struct pool *p, size_t count, int (*fn)(void *ctx, size_t i), void *ctx)
{
    struct each e = {.fn = fn, .ctx = ctx, .count = count};
    pthread_mutex_init(&e.lock, NULL);
    pthread_cond_init(&e.done, NULL);
    for (unsigned i = 0; p && i < p->threads && i + 1 < count; i++) {
        pthread_mutex_lock(&e.lock);
        e.helpers++;
        pthread_mutex_unlock(&e.lock);
        if (!pool_try_submit(p, each_help, &e)) {
            pthread_mutex_lock(&e.lock);
            e.helpers--;
            pthread_mutex_unlock(&e.lock);
            break;
        }
    }
    each_run(&e);
    unsigned idle = p ? withdraw(p, &e) : 0;
    pthread_mutex_lock(&e.lock);
    e.helpers -= idle;
    while (e.helpers > 0)
        pthread_cond_wait(&e.done, &e.lock);
    pthread_mutex_unlock(&e.lock);
    pthread_cond_destroy(&e.done);
    pthread_mutex_destroy(&e.lock);
    return atomic_load(&e.error);
}
