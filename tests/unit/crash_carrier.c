/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The carrier's thread is known by being made in crash_carrier_new. Where it would wait for some
 * seconds it waits for crash_carrier_look, or for its own end, instead. */
#include "tests/unit/crash_carrier.h"

#include <pthread.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/clock.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool making;      /* lock; the next thread is the carrier's */
    pthread_t thread; /* lock */
    bool made;        /* lock; THREAD is one */
    bool resting;     /* lock; it waits: */
    pthread_cond_t *cond;
    pthread_mutex_t *cond_lock;
    bool look; /* lock; its time has come */
} carrier = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int __real_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    LOCK_SCOPE(&carrier.lock);
    int r = __real_pthread_create(ret, attr, fn, arg);
    if (r == 0 && carrier.making) {
        carrier.thread = *ret;
        carrier.made = true;
        carrier.making = carrier.resting = carrier.look = false;
    }
    return r;
}

static bool is_carrier(void)
{
    LOCK_SCOPE(&carrier.lock);
    return carrier.made && pthread_equal(carrier.thread, pthread_self());
}

/* True, once, when its time has come. */
static bool take_look(void)
{
    LOCK_SCOPE(&carrier.lock);
    bool look = carrier.look;
    carrier.look = false;
    return look;
}

bool __real_clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until);
bool __wrap_clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until);
bool __wrap_clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until)
{
    if (!is_carrier())
        return __real_clock_wait(cond, lock, until);
    {
        LOCK_SCOPE(&carrier.lock);
        carrier.resting = true;
        carrier.cond = cond;
        carrier.cond_lock = lock;
        pthread_cond_broadcast(&carrier.changed);
    }
    pthread_cond_wait(cond, lock);
    return !take_look();
}

struct carrier *crash_carrier_new(struct checkout *c, struct parcel *p, struct committer *m)
{
    {
        LOCK_SCOPE(&carrier.lock);
        carrier.making = true;
    }
    return carrier_new(c, p, m, 0);
}

/* With the lock held. */
static void await_rest(void)
{
    while (!carrier.resting)
        pthread_cond_wait(&carrier.changed, &carrier.lock);
}

void crash_carrier_look(void)
{
    {
        LOCK_SCOPE(&carrier.lock);
        await_rest();
        carrier.resting = false;
        carrier.look = true;
    }
    {
        LOCK_SCOPE(carrier.cond_lock);
        pthread_cond_broadcast(carrier.cond);
    }
    LOCK_SCOPE(&carrier.lock);
    await_rest();
}
