/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A fixed set of worker threads with a bounded queue. */
#ifndef ISRFS_BASE_POOL_H
#define ISRFS_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>

struct pool;

/* THREADS workers, at most QUEUED jobs waiting. NULL with errno on failure. */
struct pool *pool_new(unsigned threads, size_t queued);

/* Finishes what is queued, then ends the workers. NULL is allowed. No job may be submitted any
 * more. */
void pool_free(struct pool *p);

/* Queues FN(ARG). False at once when the queue is full. */
bool pool_try_submit(struct pool *p, void (*fn)(void *arg), void *arg);

/* Calls FN(CTX, i) for every i below COUNT on the workers and this thread side by side, and waits.
 * FN returns 0 or negative errno; after a failure no further i is begun. The first failure or 0.
 * May be called by several threads at once, not from a job of the same pool. */
int pool_each(struct pool *p, size_t count, int (*fn)(void *ctx, size_t i), void *ctx);

#endif
