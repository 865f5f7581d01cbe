/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "isrfs/base/clock.h"

#include <errno.h>
#include <time.h>

int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

bool clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until)
{
    if (until == INT64_MAX)
        return pthread_cond_wait(cond, lock) == 0;
    struct timespec end = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
    return pthread_cond_timedwait(cond, lock, &end) != ETIMEDOUT;
}
