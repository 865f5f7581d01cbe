/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Time that only ever goes on, whatever is done to the wall clock, and conditions that go by it.
 * Any thread may call. */
#ifndef ISRFS_BASE_CLOCK_H
#define ISRFS_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t clock_ms(void);

/* A condition for clock_wait. Undone by pthread_cond_destroy. */
void clock_cond_init(pthread_cond_t *cond);

/* pthread_cond_wait until UNTIL (of clock_ms; INT64_MAX: for ever) at the latest. False if that has
 * come: then nobody need have signalled. */
bool clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until);

#endif
