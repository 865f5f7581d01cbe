/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the programs that simulate a power loss have in common: a workload that is recorded together
 * with what it has come to, and a count of the states after a crash. */
#ifndef ISRFS_TESTS_CRASH_RUN_H
#define ISRFS_TESTS_CRASH_RUN_H

#include "isrfs/base/log.h"
#include "tests/unit/crash_disk.h"
#include "tests/unit/crash_history.h"
#include "tests/unit/crash_model.h"

struct crash_run {
    unsigned files;               /* on which steps are done; the caller's to change */
    char path[64];                /* a folder for all that the test does */
    struct crash_model *model;    /* what was done */
    struct crash_model *found;    /* what was read last */
    struct crash_history history; /* the caller's to begin */
    struct crash_trace *trace;    /* the caller's to record */
    uint64_t seed, random;        /* CRASH_SEED */
    bool full;                    /* CRASH_FULL */
    char why[LOG_MESSAGE_SIZE];   /* what was wrong with the last state */
};

void crash_run_init(struct crash_run *r);
void crash_run_free(struct crash_run *r);

/* One random step, which begins a new moment: 0 or negative errno. */
int crash_run_step(struct crash_run *r, struct parcel *p);
/* Before a consistent batch or commit, which begins a moment too. */
void crash_run_stop(struct crash_run *r);
/* The moment that P is at now, one that AT allows; -1: none. */
long crash_run_find(struct crash_run *r, struct parcel *p, const struct crash_mark *at);
/* P was opened by a new process: the run goes on from the moment that it is at. */
void crash_run_go_on(struct crash_run *r, struct parcel *p);

/* Says WHY: false. */
bool crash_run_wrong(struct crash_run *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A crash somewhere from operation FIRST on. */
struct crash_plan crash_run_plan(struct crash_run *r, const struct crash_trace *t, size_t first);
/* Makes the folder PATH anew, as it is after that crash. */
void crash_run_build(const struct crash_trace *t, const struct crash_plan *plan, const char *path);

struct crash_tally {
    unsigned long states, broken;
    char first[LOG_MESSAGE_SIZE + 256]; /* the first that was broken */
};

/* Shows the trace of the first that is broken without a planted fault. */
void crash_run_count(const struct crash_run *r, struct crash_tally *y, const struct crash_trace *t,
                     const struct crash_plan *plan, bool good);
/* Fails if one was broken. */
void crash_run_check(const struct crash_tally *y);

#endif
