/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal of an open parcel: what was kept is there after a crash, at the price of what was
 * changed, and needs no home. tests/unit/test_crash.c has the crashes themselves. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/random.h"
#include "tests/unit/parcel_fixture.h"

enum { IMAGE_SIZE = 24 << 20 };

static void what_was_kept_in_the_journal_is_there_after_a_crash(void **state)
{
    struct fixture *f = *state;
    struct parcel *p = f->parcel;
    uint64_t disk = fixture_make(f, "disk.img"), gone = fixture_make(f, "gone");
    assert_int_equal(parcel_write(p, disk, "block", 5, 3 * CHUNK + 4096), 5);
    assert_int_equal(parcel_write(p, gone, "gone", 4, 0), 4);
    fixture_commit(f);
    struct parcel_attr folder, moved;
    assert_int_equal(parcel_mkdir(p, CATALOG_ROOT, "folder", 0750, &folder), 0);
    assert_int_equal(parcel_create(p, folder.file_id, "a", 0640, &moved), 0);
    assert_int_equal(parcel_write(p, moved.file_id, "moved", 5, 0), 5);
    assert_int_equal(parcel_rename(p, folder.file_id, "a", CATALOG_ROOT, "b", false), 0);
    assert_int_equal(parcel_unlink(p, CATALOG_ROOT, "gone"), 0);
    fixture_keep(f);
    assert_int_equal(parcel_write(p, disk, "again", 5, 3 * CHUNK + 4096), 5);
    assert_int_equal(parcel_rename(p, CATALOG_ROOT, "b", CATALOG_ROOT, "gone", false), 0);
    fixture_keep(f);
    assert_int_equal(parcel_write(p, disk, "never", 5, 3 * CHUNK + 4096), 5);
    fixture_make(f, "never");
    for (int i = 0; i < 2; i++) { /* replaying may be repeated */
        fixture_reopen(f);
        struct parcel_attr attr;
        char text[6] = "";
        assert_int_equal(parcel_read(f->parcel, disk, text, 5, 3 * CHUNK + 4096), 5);
        assert_string_equal(text, "again");
        assert_int_equal(parcel_find(f->parcel, "gone", &attr), 0);
        assert_int_equal(attr.file_id, moved.file_id);
        assert_int_equal(attr.mode, 0640);
        assert_int_equal(parcel_read(f->parcel, attr.file_id, text, 5, 0), 5);
        assert_string_equal(text, "moved");
        assert_int_equal(parcel_find(f->parcel, "b", &attr), -ENOENT);
        assert_int_equal(parcel_find(f->parcel, "never", &attr), -ENOENT);
        assert_int_equal(parcel_find(f->parcel, "folder", &attr), 0);
        assert_int_equal(attr.mode, 0750);
    }
}

static void keeping_a_small_change_costs_a_small_record(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = fixture_make(f, "disk.img");
    fixture_put(f, disk, 7, CHUNK, 0);
    fixture_commit(f);
    fixture_put(f, disk, 7, 4096, 8192);
    fixture_keep(f);
    uint64_t before = site_log_bytes(f->log);
    fixture_put(f, disk, 7, 4096, 4096);
    fixture_keep(f);
    assert_in_range(site_log_bytes(f->log) - before, 4096, 4096 + 512);
}

static void a_big_write_is_encoded_and_not_logged_by_block(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = fixture_make(f, "memory"), before = site_log_bytes(f->log);
    for (uint64_t i = 0; i < 100; i++)
        fixture_put(f, disk, 7, CHUNK, i * CHUNK); /* compresses to nothing */
    fixture_keep(f);
    assert_true(site_log_bytes(f->log) - before < 100000);
    fixture_reopen(f);
    CLEANUP_FREE uint8_t *data = malloc(CHUNK);
    assert_int_equal(parcel_read(f->parcel, disk, data, CHUNK, 50 * CHUNK), CHUNK);
    assert_int_equal(data[100], 7);
}

/* An image that nothing makes smaller, as a suspend writes it: SIZE bytes in order, with an fsync
 * of another file after each SPACING of them (0: one at the end). */
static uint64_t write_image(struct fixture *f, uint64_t file, uint64_t other, uint64_t spacing)
{
    enum { PART = 48 << 10 }; /* no part of a chunk */
    CLEANUP_FREE uint64_t *part = malloc(PART);
    uint64_t before = site_log_bytes(f->log), next = spacing;
    for (uint64_t at = 0; at < IMAGE_SIZE; at += PART) {
        for (size_t i = 0; i < PART / sizeof *part; i++)
            part[i] = test_random(&f->random);
        assert_int_equal(parcel_write(f->parcel, file, part, PART, at), PART);
        if (spacing && at >= next) {
            fixture_put(f, other, 7, 4096, 0);
            fixture_keep(f);
            next += spacing;
        }
    }
    fixture_keep(f);
    return site_log_bytes(f->log) - before;
}

static void an_image_is_written_once(void **state)
{
    struct fixture *f = *state;
    uint64_t other = fixture_make(f, "disk.img");
    fixture_keep(f);
    uint64_t size = IMAGE_SIZE / 10 * 11;
    assert_in_range(write_image(f, fixture_make(f, "mem.vmss"), other, 0), IMAGE_SIZE, size);
    assert_in_range(write_image(f, fixture_make(f, "again.vmss"), other, 3 << 20), IMAGE_SIZE,
                    size);
}

static void writing_goes_on_while_the_home_is_away(void **state)
{
    struct fixture *f = *state;
    uint64_t id = fixture_make(f, "disk.img");
    enum { CHUNKS = 40 };
    for (uint64_t i = 0; i < CHUNKS; i++)
        fixture_put(f, id, 1, CHUNK, i * CHUNK);
    fixture_send_home(f);
    f->far.away = true;
    for (uint64_t i = 0; i < CHUNKS; i++) /* five times what memory may hold */
        fixture_put(f, id, 2, 4096, i * CHUNK + 8192);
    fixture_keep(f);
    fixture_check_bound(f);
    CLEANUP_FREE uint8_t *data = malloc(CHUNK);
    for (uint64_t i = 0; i < CHUNKS; i++) {
        uint8_t block[4096] = {0};
        assert_int_equal(parcel_read(f->parcel, id, block, 4096, i * CHUNK + 8192), 4096);
        assert_int_equal(block[77], 2);
        assert_int_equal(parcel_read(f->parcel, id, block, 4096, i * CHUNK), -EHOSTDOWN);
    }
    struct site_root unused = {0};
    parcel_freeze(f->parcel);
    assert_true(parcel_flush(f->parcel, true, &unused) < 0);
    parcel_thaw(f->parcel);
    fixture_put(f, id, 3, 4096, 12288);
    fixture_keep(f);
    for (int i = 0; i < 2; i++) {
        f->far.away = false;
        for (uint64_t k = 0; k < CHUNKS; k++) {
            assert_int_equal(parcel_read(f->parcel, id, data, CHUNK, k * CHUNK), CHUNK);
            assert_int_equal(data[0], 1);
            assert_int_equal(data[8192], 2);
            assert_int_equal(data[12288], k == 0 ? 3 : 1);
        }
        if (i == 0)
            fixture_reopen(f); /* what is in the journal only is there too */
    }
    fixture_commit(f);
}

static void a_commit_that_fails_because_the_home_is_away_stops_no_journal(void **state)
{
    struct fixture *f = *state;
    uint64_t id = fixture_make(f, "disk.img");
    for (int i = 0; i < 3; i++)
        fixture_put(f, id, i + 1, CHUNK, (uint64_t)i * CHUNK);
    assert_int_equal(parcel_write(f->parcel, id, "tail", 4, 3 * CHUNK), 4);
    fixture_send_home(f);
    f->far.away = true; /* with every node of the keyring */
    fixture_put(f, id, 9, CHUNK, CHUNK);
    /* the last block is a part of one, and what is added begins and ends within it */
    fixture_put(f, id, 9, 4096, 3 * CHUNK);
    assert_int_equal(parcel_write(f->parcel, id, "more", 4, 3 * CHUNK + 4096), 4);
    assert_int_equal(parcel_settle(f->parcel, true), -EHOSTDOWN);
    struct site_root unused = {0};
    parcel_freeze(f->parcel);
    assert_int_equal(parcel_flush(f->parcel, true, &unused), -EHOSTDOWN);
    parcel_thaw(f->parcel);
    assert_int_equal(parcel_write(f->parcel, id, "x", 1, 3 * CHUNK + 4100), 1);
    fixture_keep(f);
    fixture_reopen(f);
    f->far.away = false;
    CLEANUP_FREE uint8_t *data = malloc(CHUNK);
    assert_int_equal(parcel_read(f->parcel, id, data, 4, 3 * CHUNK + 4097), 4);
    assert_memory_equal(data, "orex", 4);
    assert_int_equal(parcel_read(f->parcel, id, data, CHUNK, CHUNK), CHUNK);
    assert_int_equal(data[5], 9);
    fixture_commit(f);
}

static void what_was_not_committed_is_gone_after_a_crash_and_the_rest_is_there(void **state)
{
    struct fixture *f = *state;
    uint64_t id = fixture_make(f, "disk.img");
    assert_int_equal(parcel_write(f->parcel, id, "before", 6, 5 * CHUNK), 6);
    fixture_commit(f);
    assert_int_equal(parcel_write(f->parcel, id, "after!", 6, 5 * CHUNK), 6);
    fixture_make(f, "never");
    fixture_reopen(f);
    char text[7] = "";
    assert_int_equal(parcel_read(f->parcel, id, text, 6, 5 * CHUNK), 6);
    assert_string_equal(text, "before");
    struct parcel_attr attr;
    assert_int_equal(parcel_find(f->parcel, "never", &attr), -ENOENT);
}

struct visitor {
    struct fixture *fixture;
    _Atomic bool gone;
};

/* Makes files, writes to them and removes them. */
static void *come_and_go(void *arg)
{
    struct visitor *v = arg;
    struct parcel *p = v->fixture->parcel;
    uint8_t *data = malloc(CHUNK);
    memset(data, 5, CHUNK);
    int r = 0;
    for (unsigned round = 0; r == 0 && round < 200; round++) {
        struct parcel_attr attr;
        r = parcel_create(p, CATALOG_ROOT, "brief", 0600, &attr);
        for (uint64_t i = 0; r == 0 && i < 32; i++)
            r = parcel_write(p, attr.file_id, data, CHUNK, i * CHUNK) < 0;
        r = r ? r : parcel_unlink(p, CATALOG_ROOT, "brief");
        parcel_forget(p, attr.file_id, 1);
    }
    free(data);
    v->gone = true;
    return NULL;
}

static void a_file_may_be_removed_while_the_journal_is_written(void **state)
{
    struct fixture *f = *state;
    fixture_make(f, "disk.img");
    fixture_keep(f);
    f->dirty_bytes = 64 * CHUNK;
    fixture_reopen(f);
    struct visitor v = {.fixture = f};
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, come_and_go, &v), 0);
    for (unsigned round = 1; !v.gone; round++) {
        if (round % 64 == 0)
            fixture_commit(f);
        fixture_keep(f);
    }
    pthread_join(other, NULL);
    fixture_keep(f);
    fixture_reopen(f);
    struct parcel_attr attr;
    assert_int_equal(parcel_find(f->parcel, "disk.img", &attr), 0);
    assert_int_equal(parcel_find(f->parcel, "brief", &attr), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(what_was_kept_in_the_journal_is_there_after_a_crash),
        TEST(keeping_a_small_change_costs_a_small_record),
        TEST(a_big_write_is_encoded_and_not_logged_by_block),
        TEST(an_image_is_written_once),
        TEST(writing_goes_on_while_the_home_is_away),
        TEST(a_file_may_be_removed_while_the_journal_is_written),
        TEST(a_commit_that_fails_because_the_home_is_away_stops_no_journal),
        TEST(what_was_not_committed_is_gone_after_a_crash_and_the_rest_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
