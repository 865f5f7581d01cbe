/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promise of fsync for a file system whose process dies: afterwards the file is as it was after
 * some operation, not before the last fsync that returned. Operations are only those that the
 * kernel hands on at once and in one piece. */
#ifndef ISRFS_TESTS_EXERCISE_CRASH_H
#define ISRFS_TESTS_EXERCISE_CRASH_H

#include <sys/types.h>

#include "tests/exercise/op.h"

struct crash_config {
    const char *path; /* of the file */
    const char
        *state; /* what was done is kept here and in STATE.base, outside of the file system */
    uint64_t seed, max;
    uint64_t ops; /* the process is killed before so many are done */
    pid_t pid;    /* which */
};

/* Works on the file until the process dies, which is killed at a moment of the seed's choice. 0 if
 * it came to that; else says what went wrong: negative errno. */
int crash_run(const struct crash_config *config);

/* Looks at what was recovered. 0 if it keeps the promise, 1 if not (said in detail); negative errno
 * (said too). */
int crash_check(const char *state, const char *path);

#endif
