/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commits while the home is away: they take what needs nothing from there, the rest stays in the
 * log, and nothing is lost by it, whatever comes afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/parcel_fixture.h"

enum { CHUNKS = 300 }; /* two leaves */

/* A file of CHUNKS chunks full of ones, all of it at home only, and the home is away. */
static uint64_t begin(struct fixture *f)
{
    uint64_t id = fixture_make(f, "disk.img");
    for (uint64_t i = 0; i < CHUNKS; i++)
        fixture_put(f, id, 1, CHUNK, i * CHUNK);
    fixture_send_home(f);
    f->far.away = true;
    return id;
}

/* What was written since, in every way there is. */
static void change(struct fixture *f, uint64_t id)
{
    fixture_put(f, id, 2, 4096, 8192);               /* a part of a chunk */
    fixture_put(f, id, 3, CHUNK, 2 * CHUNK);         /* a whole one */
    fixture_put(f, id, 3, CHUNK, 280 * CHUNK);       /* below another leaf */
    fixture_put(f, id, 4, 4096, 280 * CHUNK + 4096); /* a part of it on top */
    assert_int_equal(parcel_zero(f->parcel, id, 5 * CHUNK, 3 * CHUNK, true), 0);
    fixture_put(f, id, 5, 4096, 6 * CHUNK); /* a part of what is a hole by now */
    fixture_put(f, id, 6, CHUNK, 7 * CHUNK);
    fixture_put(f, id, 7, 100, (uint64_t)CHUNKS * CHUNK + 12288); /* longer */
}

static void check(struct fixture *f, uint64_t id)
{
    assert_int_equal(fixture_byte_at(f, id, 8192), 2);
    assert_int_equal(fixture_byte_at(f, id, 2 * CHUNK + 5), 3);
    assert_int_equal(fixture_byte_at(f, id, 280 * CHUNK), 3);
    assert_int_equal(fixture_byte_at(f, id, 280 * CHUNK + 4096), 4);
    assert_int_equal(fixture_byte_at(f, id, 5 * CHUNK + 99), 0);
    assert_int_equal(fixture_byte_at(f, id, 6 * CHUNK), 5);
    assert_int_equal(fixture_byte_at(f, id, 6 * CHUNK + 4096), 0);
    assert_int_equal(fixture_byte_at(f, id, 7 * CHUNK + 4096), 6);
    assert_int_equal(fixture_byte_at(f, id, (uint64_t)CHUNKS * CHUNK + 12288), 7);
    assert_int_equal(fixture_size_of(f, id), (uint64_t)CHUNKS * CHUNK + 12388);
    if (f->far.away)
        return;
    assert_int_equal(fixture_byte_at(f, id, 0), 1);
    assert_int_equal(fixture_byte_at(f, id, 12288), 1);
    assert_int_equal(fixture_byte_at(f, id, 4 * CHUNK), 1);
    assert_int_equal(fixture_byte_at(f, id, 279 * CHUNK), 1);
}

static void a_commit_takes_what_is_ready_and_nothing_is_lost(void **state)
{
    struct fixture *f = *state;
    uint64_t id = begin(f);
    change(f, id);
    for (int i = 0; i < 3; i++) {
        assert_true(fixture_tidy(f));
        check(f, id);
        fixture_reopen(f);
        f->far.away = true;
        check(f, id);
    }
    fixture_put(f, id, 8, 4096, 20480);
    fixture_keep(f); /* a batch after the partial root */
    fixture_reopen(f);
    check(f, id);
    assert_int_equal(fixture_byte_at(f, id, 20480), 8);
    fixture_commit(f);
    check(f, id);
    fixture_reopen(f);
    check(f, id);
    assert_int_equal(fixture_byte_at(f, id, 20480), 8);
}

static void what_is_left_over_is_taken_when_the_home_is_back(void **state)
{
    struct fixture *f = *state;
    uint64_t id = begin(f);
    change(f, id);
    assert_true(fixture_tidy(f));
    assert_true(parcel_settle(f->parcel, true) < 0);
    check(f, id);
    fixture_drain(f); /* one that asks while another's request fails gets the failure too */
    f->far.away = false;
    assert_int_equal(parcel_settle(f->parcel, true), 0);
    assert_false(fixture_tidy(f));
    check(f, id);
    fixture_reopen(f);
    check(f, id);
}

static void what_is_left_over_needs_nothing_older_than_its_commit(void **state)
{
    struct fixture *f = *state;
    uint64_t id = begin(f), before, once, twice;
    change(f, id);
    fixture_put(f, id, 2, 4096, 8192);
    fixture_keep(f);
    assert_true(fixture_tidy(f));
    before = site_log_bytes(f->log);
    assert_true(fixture_tidy(f));
    once = site_log_bytes(f->log);
    assert_true(fixture_tidy(f));
    twice = site_log_bytes(f->log);
    assert_true(once - before >= 2 * 4096); /* the blocks are said again */
    assert_int_equal(twice - once, once - before);
    assert_true(once - before < CHUNK); /* and nothing but these */
}

static void a_commit_that_was_cut_off_before_its_root_does_not_count(void **state)
{
    struct fixture *f = *state;
    uint64_t id = begin(f);
    change(f, id);
    fixture_keep(f);
    fixture_put(f, id, 9, 4096, 8192);
    fixture_put(f, id, 9, 4096, 40 * CHUNK);
    struct site_root root = {0};
    parcel_freeze(f->parcel);
    assert_int_equal(parcel_flush(f->parcel, false, &root), 0);
    parcel_thaw(f->parcel);
    assert_true(root.partial);
    assert_int_equal(site_log_flush(f->log), 0);
    fixture_reopen(f);
    check(f, id); /* as it was kept, not in part as it was later */
    f->far.away = false;
    assert_int_equal(fixture_byte_at(f, id, 40 * CHUNK), 1);
}

static void batches_are_not_lost_by_a_root_that_does_not_contain_them(void **state)
{
    struct fixture *f = *state;
    uint64_t id = fixture_make(f, "disk.img");
    fixture_put(f, id, 1, CHUNK, 0);
    fixture_commit(f);
    struct site_root root;
    assert_int_equal(site_log_newest_root(f->log, &root), 0);
    fixture_put(f, id, 2, 4096, 4096);
    fixture_keep(f);
    root.publishing = root.current; /* as a checkpoint does, beside the guest */
    assert_int_equal(site_log_put_root(f->log, &root), 0);
    fixture_put(f, id, 3, 4096, 8192);
    fixture_keep(f);
    fixture_reopen(f);
    assert_int_equal(fixture_byte_at(f, id, 0), 1);
    assert_int_equal(fixture_byte_at(f, id, 4096), 2);
    assert_int_equal(fixture_byte_at(f, id, 8192), 3);
}

static void a_write_has_its_base_fetched(void **state)
{
    struct fixture *f = *state;
    uint64_t id = begin(f);
    f->far.away = false;
    fixture_put(f, id, 2, 4096, 9 * CHUNK + 8192);
    fixture_drain(f);
    f->far.away = true;
    assert_false(fixture_tidy(f));
    assert_int_equal(fixture_byte_at(f, id, 9 * CHUNK), 1);
    assert_int_equal(fixture_byte_at(f, id, 9 * CHUNK + 8192), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(a_commit_takes_what_is_ready_and_nothing_is_lost),
        TEST(what_is_left_over_is_taken_when_the_home_is_back),
        TEST(what_is_left_over_needs_nothing_older_than_its_commit),
        TEST(a_commit_that_was_cut_off_before_its_root_does_not_count),
        TEST(batches_are_not_lost_by_a_root_that_does_not_contain_them),
        TEST(a_write_has_its_base_fetched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
