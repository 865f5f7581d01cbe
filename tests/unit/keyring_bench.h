/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A keyring over a store in memory, for tests. What fails in here fails the test. */
#ifndef ISRFS_TESTS_KEYRING_BENCH_H
#define ISRFS_TESTS_KEYRING_BENCH_H

#include "isrfs/keyring/keyring.h"

struct bench {
    struct codec *codec;
    struct store *store;
    struct keyring *k;
    struct object_ref root;
    unsigned height;
    size_t loaded_max;
};

/* For cmocka: *STATE is a struct bench with an empty keyring. */
int bench_set_up(void **state);
int bench_tear_down(void **state);

/* Opens the keyring of `root`, `height` and `loaded_max`; what was not saved is lost. */
void bench_open(struct bench *b);
/* Saves into `root` and `height`. */
void bench_save(struct bench *b);
/* Both; and forgets the store's counts. */
void bench_reopen(struct bench *b);

/* An entry that tells for which index it was made, and when. */
struct object_ref bench_entry_of(uint64_t index, uint64_t generation);
void bench_set(struct bench *b, uint64_t index, uint64_t generation);
void bench_assert_entry(struct bench *b, uint64_t index, uint64_t generation);
void bench_assert_hole(struct bench *b, uint64_t index);
uint64_t bench_next(struct bench *b, uint64_t index, uint64_t end, bool data);

/* The id of a leaf of a tree of two levels. */
struct object_id bench_leaf_id(struct bench *b, unsigned slot);

#endif
