/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counters of what the program did, for `.isrfs/stats`. Added to by any thread. */
#ifndef ISRFS_BASE_COUNTERS_H
#define ISRFS_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define COUNTERS(X)                                                                                \
    X(read_requests)                                                                               \
    X(read_bytes)                                                                                  \
    X(write_requests)                                                                              \
    X(write_bytes)                                                                                 \
    X(fsync_requests)                                                                              \
    X(chunk_cache_hits)                                                                            \
    X(chunk_cache_misses)                                                                          \
    X(chunks_decoded)                                                                              \
    X(chunks_encoded)                                                                              \
    X(chunks_prefetched)                                                                           \
    X(objects_damaged)                                                                             \
    X(store_get_bytes)                                                                             \
    X(store_put_objects)                                                                           \
    X(store_put_bytes)                                                                             \
    X(log_bytes)                                                                                   \
    X(commits)                                                                                     \
    X(reads_failed)                                                                                \
    X(writes_failed)

struct counters {
#define X(name) _Atomic uint64_t name;
    COUNTERS(X)
#undef X
};

/* C may be NULL, for those who do not count. */
#define COUNT(c, name, n)                                                                          \
    do {                                                                                           \
        if (c)                                                                                     \
            atomic_fetch_add_explicit(&(c)->name, (uint64_t)(n), memory_order_relaxed);            \
    } while (0)

/* The counter's name, NULL from the number of counters on; and its value. */
const char *counters_name(size_t i);
uint64_t counters_value(const struct counters *c, size_t i);

#endif
