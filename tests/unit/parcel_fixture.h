/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An open parcel on a real log on disk, for tests of isrfs/parcel: cmocka's setup and teardown,
 * whose state is a struct fixture. */
#ifndef ISRFS_TESTS_PARCEL_FIXTURE_H
#define ISRFS_TESTS_PARCEL_FIXTURE_H

#include "isrfs/parcel/parcel.h"
#include "isrfs/store/home_watch.h"

#define CHUNK CHUNK_SIZE_DEFAULT

/* The parcel's stores: the log, and a home that can be away. */
struct far_store {
    struct store store; /* must be first */
    struct site_log *log;
    struct store *home;
    _Atomic bool away;
    struct object_id gone; /* it has none of that name */
};

struct fixture {
    char path[64];
    struct far_store far;
    int dirfd;
    struct codec *codec;
    struct pool *pool;
    struct store *home; /* in memory */
    struct object_secret secret;
    struct site_log *log;
    struct counters counters;
    struct object_ref catalog; /* of the newest root */
    bool consistent;           /* it said */
    struct parcel *parcel;
    size_t dirty_bytes;
    uint64_t random;
    bool watched;             /* for the next open: reads wait for the home, but not long */
    struct home_watch *watch; /* then */
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Opens what is in the log, from the newest committed catalog; the reverse, which keeps nothing;
 * both, as after a crash. */
void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
void fixture_reopen(struct fixture *f);

/* What it is opened with. */
struct parcel_config fixture_config(struct fixture *f);

/* As an unmount, and as an fsync. */
void fixture_commit(struct fixture *f);
void fixture_keep(struct fixture *f);
/* Both, when nothing is running. */
void fixture_commit_stopped(struct fixture *f);
void fixture_stop(struct fixture *f);
/* A commit of what needs nothing from afar: was anything left over? */
bool fixture_tidy(struct fixture *f);

/* As a check-in and a check-out: everything is at home, and nothing in the log. */
void fixture_send_home(struct fixture *f);

/* Waits until nothing is being fetched for what was written. */
void fixture_drain(struct fixture *f);

/* Waits until somebody waits for the home that is away (watched). */
void fixture_await_waiter(struct fixture *f);

/* A new file at the root: its id. */
uint64_t fixture_make(struct fixture *f, const char *name);

/* SIZE times that byte, which is written whole. */
void fixture_put(struct fixture *f, uint64_t id, int byte, size_t size, uint64_t offset);
uint8_t fixture_byte_at(struct fixture *f, uint64_t id, uint64_t offset);
uint64_t fixture_size_of(struct fixture *f, uint64_t id);

/* What was changed takes no more memory than it may. */
void fixture_check_bound(struct fixture *f);

#endif
