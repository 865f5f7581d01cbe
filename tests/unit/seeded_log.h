/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A site log in a folder of its own, whose objects follow from numbers. What fails ends the test,
 * but for the functions that say "try". */
#ifndef ISRFS_TESTS_SEEDED_LOG_H
#define ISRFS_TESTS_SEEDED_LOG_H

#include "isrfs/parcel/site_log.h"

struct seeded_log {
    char path[64];
    int dirfd;
    struct codec *codec;
    uint8_t session[32];
};

/* For cmocka: *STATE is a struct seeded_log, whose log is not open. */
int seeded_log_setup(void **state);
int seeded_log_teardown(void **state);

int seeded_log_try_open(struct seeded_log *f, struct site_log **ret, struct site_log_found *found);
struct site_log *seeded_log_open(struct seeded_log *f, struct site_log_found *found);

/* Puts an object of SIZE bytes that follow from SEED. */
int seeded_log_try_put(struct seeded_log *f, struct site_log *log, unsigned seed, size_t size,
                       struct object_ref *ret);
struct object_ref seeded_log_put(struct seeded_log *f, struct site_log *log, unsigned seed,
                                 size_t size);
bool seeded_log_has(struct site_log *log, const struct object_ref *ref);

/* Puts a root of that version and flushes; and the version of the newest one. */
void seeded_log_put_root(struct site_log *log, uint64_t version);
uint64_t seeded_log_newest(struct site_log *log);

#endif
