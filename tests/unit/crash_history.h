/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a workload has done so far, as one can ask later for every place in its trace. Its moments
 * are a tree, since a process that was killed goes on from an older one; a mark in the trace says
 * which moment is the newest that was begun there, and which the last that had been acknowledged as
 * durable. */
#ifndef ISRFS_TESTS_CRASH_HISTORY_H
#define ISRFS_TESTS_CRASH_HISTORY_H

#include "tests/unit/crash_trace.h"

struct crash_moment {
    uint64_t digest;
    bool consistent; /* nothing ran, and memory was kept; and what is kept is still the same */
    long before;     /* the moment that this one follows; -1: none */
};

struct crash_mark {
    long newest;
    long acknowledged; /* -1: none */
    long event;        /* the caller's */
};

struct crash_history {
    struct crash_moment *moments;
    long moment_count, moment_room;
    struct crash_mark *marks;
    long mark_count, mark_room;
    struct crash_mark now; /* the last mark */
};

/* With its first moment, which is not acknowledged. */
void crash_history_init(struct crash_history *h, uint64_t digest);
void crash_history_free(struct crash_history *h);

/* Each puts a mark into the trace: a moment with that digest is about to come; all until now is
 * acknowledged; a new process goes on from MOMENT; the caller's event has changed. */
void crash_history_begin(struct crash_history *h, uint64_t digest, bool consistent);
void crash_history_acknowledge(struct crash_history *h);
void crash_history_go_back(struct crash_history *h, long moment);
void crash_history_event(struct crash_history *h, long event);

/* The mark that counts for a crash before operation PREFIX; NULL: there is none before. */
const struct crash_mark *crash_history_at(const struct crash_history *h,
                                          const struct crash_trace *t, size_t prefix);

/* The newest moment with that digest which the mark allows, or with ANY one that may be older than
 * what was acknowledged; -1: none. */
long crash_history_find(const struct crash_history *h, const struct crash_mark *at, uint64_t digest,
                        bool any);
/* Is one that the mark allows both of that digest and consistent? */
bool crash_history_consistent(const struct crash_history *h, const struct crash_mark *at,
                              uint64_t digest);

#endif
