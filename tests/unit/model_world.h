/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An open parcel whose home, and a little also whose log, fails when it is read or written, by
 * seed; for the model checker. */
#ifndef ISRFS_TESTS_MODEL_WORLD_H
#define ISRFS_TESTS_MODEL_WORLD_H

#include <stdatomic.h>

#include "isrfs/parcel/parcel.h"
#include "tests/unit/model_file.h"

#define FILES    2u
#define CHUNK    CHUNK_SIZE_DEFAULT
#define FILE_MAX (40u * CHUNK)

struct world {
    char path[64], home_path[96];
    int dirfd;
    struct codec *codec;
    struct pool *pool;
    struct counters counters;
    struct object_secret secret;
    struct store *home, *far, *near, *stack;
    struct site_log *log;
    struct site_root root; /* commit */
    struct parcel *parcel;
    uint64_t ids[FILES];
    struct model_file *models[FILES];
    uint64_t first_seed, seed;
    pthread_mutex_t commit;
    atomic_bool wrong;
    atomic_uint reads, failed_reads, failed_writes, failed_commits, commits;
};

/* Errors that were logged: they are expected by the thousand, and not shown. */
extern atomic_uint world_errors_logged;

/* cmocka's, whose state is a struct world. */
int world_setup(void **state);
int world_teardown(void **state);

/* Threads cannot fail a test of cmocka's: they say so here. */
void world_wrong(struct world *w, const char *what, uint64_t at, int error);

/* Opens the parcel of the newest root, and what is in the log beyond it. */
void world_begin(struct world *w);
/* Ends it as a daemon that is killed after an fsync. */
void world_crash(struct world *w);
/* Brings everything home and begins the log anew, so that all is read from there. Ends it too. */
void world_check_in(struct world *w);
/* Ends it. */
void world_end(struct world *w);

/* From now on nothing fails; everything may fail again, and other objects are gone. */
void world_calm(struct world *w);
void world_resume(struct world *w);
/* How often the home has failed. */
uint64_t world_failures(struct world *w);

/* As fsync: fails only (-EAGAIN) if a commit has to be finished first. */
int world_keep(struct world *w);
/* Any thread. */
int world_commit(struct world *w);

#endif
