/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of stores share: a folder store for each test, objects to put into it, and a disk
 * that fails when it is told to (with the linker's --wrap, tests/store.mk). */
#ifndef TESTS_UNIT_STORE_BENCH_H
#define TESTS_UNIT_STORE_BENCH_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "isrfs/store/folder.h"

#define OBJECT_SIZE 5000u

/* What the disk does next: 0 or a negative errno. And how often it was asked. */
extern atomic_int write_error, fsync_error, syncfs_error;
extern atomic_uint fsync_calls, fsync_dir_calls, syncfs_calls;

struct fixture {
    char root[64];  /* a folder for everything */
    char path[128]; /* the store's folder in it */
    char uuid[STORE_UUID_HEX + 1];
    struct codec *codec;
    struct counters counters;
    struct pool *pool;
    struct store *store;
};

/* For cmocka: *STATE is a struct fixture. A test that hangs is ended. */
int set_up(void **state);
int tear_down(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

struct folder_config config_of(struct fixture *f);

/* As another process would find it: with no memory of what was put. */
void reopen(struct fixture *f);

struct sample {
    struct object_id id;
    uint8_t bytes[OBJECT_SIZE];
};

struct sample sample_of(struct fixture *f, uint32_t number);

int put(struct store *store, const struct sample *s);
/* Also compares what was given, if anything. */
int get(struct store *store, const struct sample *s);

/* The path of an object below TOP, with DIGITS of a second level of folders. */
const char *path_of(struct fixture *f, const char *top, const struct sample *s, int digits,
                    char out[400]);

void write_text(const char *path, const void *data, size_t size);
ino_t inode_of(const char *path);
unsigned names_in(const char *path);

#endif
