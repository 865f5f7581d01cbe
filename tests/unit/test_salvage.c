/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A damaged log, and damage at home under what was changed: what is lost is named, and everything
 * else is as it was written. Every test compares all bytes. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "isrfs/keyring/keyring.h"
#include "isrfs/parcel/segment.h"
#include "tests/unit/salvage_fixture.h"

/* Three fsyncs of a block each; the second one's record of blocks begins at *RET. */
static uint64_t three_fsyncs(struct fixture *f, uint64_t disk, uint64_t *ret_end)
{
    salvage_write_at(f, disk, 3 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f);
    uint64_t second = site_log_bytes(f->log);
    salvage_write_at(f, disk, 40 * SALVAGE_BLOCK, SALVAGE_BLOCK, false);
    fixture_keep(f);
    *ret_end = site_log_bytes(f->log);
    salvage_write_at(f, disk, 41 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    salvage_write_at(f, disk, 4 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f);
    return second;
}

static void a_damaged_record_costs_its_blocks_alone(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f), end, second = three_fsyncs(f, disk, &end);
    fixture_close(f);
    salvage_spoil(f, 1, second + 2000, 1);
    salvage_open_damaged(f, NULL);
    salvage_assert_content(f, disk);
    salvage_assert_lost(f, 40 * SALVAGE_BLOCK, SALVAGE_BLOCK, false);
    assert_int_equal(salvage_lost_operations(f), 0);
    const struct log_damage *damage = salvage_only_damage(f);
    assert_int_equal(damage->records, 1);
    assert_true(damage->newer);
    salvage_assert_it_ends(f, disk);
}

static void a_record_whose_length_is_damaged_costs_no_more(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f), end, second = three_fsyncs(f, disk, &end);
    fixture_close(f);
    salvage_spoil(f, 1, second, 16);
    salvage_open_damaged(f, NULL);
    salvage_assert_content(f, disk);
    salvage_assert_lost(f, 40 * SALVAGE_BLOCK, SALVAGE_BLOCK, false);
    salvage_assert_it_ends(f, disk);
}

static void a_batch_that_is_lost_whole_is_counted(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f), end, second = three_fsyncs(f, disk, &end);
    fixture_close(f);
    salvage_spoil(f, 1, second, end - second);
    salvage_open_damaged(f, NULL);
    salvage_assert_content(f, disk);
    const struct log_damage *damage = salvage_only_damage(f);
    assert_int_equal(damage->records, 2); /* nobody knows what they held */
    salvage_assert_it_ends(f, disk);
}

static void lost_operations_are_counted_and_the_blocks_kept(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f);
    salvage_write_at(f, disk, 5 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    struct parcel_attr attr;
    assert_int_equal(parcel_mkdir(f->parcel, CATALOG_ROOT, "folder", 0700, &attr), 0);
    fixture_keep(f);
    uint64_t end = site_log_bytes(f->log);
    salvage_write_at(f, disk, 6 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    salvage_spoil(f, 1, end - 20, 1); /* the batch's last record */
    salvage_open_damaged(f, NULL);
    salvage_assert_content(f, disk);
    assert_int_equal(salvage_lost_operations(f), 1);
    assert_int_equal(parcel_find(f->parcel, "folder", &attr), -ENOENT);
    salvage_assert_it_ends(f, disk);
}

static void what_builds_on_lost_operations_is_left_out_and_counted(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f);
    struct parcel_attr attr;
    assert_int_equal(parcel_mkdir(f->parcel, CATALOG_ROOT, "folder", 0700, &attr), 0);
    fixture_keep(f);
    uint64_t end = site_log_bytes(f->log);
    struct parcel_attr file;
    assert_int_equal(parcel_create(f->parcel, attr.file_id, "in it", 0600, &file), 0);
    assert_int_equal(parcel_write(f->parcel, file.file_id, "text", 4, 0), 4);
    salvage_write_at(f, disk, 6 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f);
    salvage_write_at(f, disk, 7 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    salvage_spoil(f, 1, end - 20, 1);
    salvage_open_damaged(f, NULL);
    salvage_assert_content(f, disk);
    assert_int_equal(salvage_lost_operations(f),
                     1); /* its making; of the lost batch nothing is left to count */
    struct salvage_told told = salvage_losses(f);
    assert_int_equal(told.count, 1);
    assert_string_equal(told.path[0], "?");
    assert_int_equal(told.size[0], SALVAGE_BLOCK);
}

static void what_was_written_again_is_not_lost(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f), end, second = three_fsyncs(f, disk, &end);
    salvage_write_at(f, disk, 40 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    salvage_spoil(f, 1, second + 2000, 1);
    salvage_open_damaged(f, NULL);
    salvage_assert_content(f, disk);
    assert_int_equal(salvage_losses(f).count, 0);
    salvage_assert_it_ends(f, disk);
}

static void a_damaged_chunk_is_what_its_base_has(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f);
    struct object_ref base = f->catalog;
    uint64_t begin = site_log_bytes(f->log);
    salvage_write_at(f, disk, CHUNK, CHUNK,
                     false); /* one object, the first thing that is written now */
    fixture_commit(f);
    salvage_write_at(f, disk, CHUNK + SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f);
    fixture_keep(f);
    fixture_close(f);
    salvage_spoil(f, 1, begin + 9000, 1);
    salvage_open_damaged(f, &base);
    salvage_assert_content(f, disk);
    struct salvage_told told = salvage_losses(f);
    assert_int_equal(told.count, 2); /* before and behind the block that was written later */
    assert_int_equal(told.offset[0], CHUNK);
    assert_int_equal(told.size[0], SALVAGE_BLOCK);
    assert_int_equal(told.offset[1], CHUNK + 2 * SALVAGE_BLOCK);
    assert_int_equal(told.size[1], CHUNK - 2 * SALVAGE_BLOCK);
    assert_false(told.zeros[0]);
    salvage_assert_it_ends(f, disk);
}

static size_t object_size(struct fixture *f, const struct object_id *id)
{
    struct buffer object = {0};
    assert_int_equal(store_get(site_log_store(f->log), id, &object), 0);
    size_t size = object.size;
    buffer_free(&object);
    return size;
}

/* Where the last commit's catalog and its file's root node begin in the log. */
static void find_commit(struct fixture *f, uint64_t *ret_catalog, uint64_t *ret_node)
{
    struct catalog *catalog;
    assert_int_equal(catalog_load(site_log_store(f->log), f->codec, &f->catalog, &catalog), 0);
    struct object_id node = catalog->entries[0].root.id;
    catalog_free(catalog);
    uint64_t root = site_log_bytes(f->log) - segment_record_size(8 + 8 + 3 * 64 + 1 + 8);
    *ret_catalog = root - segment_record_size(32 + object_size(f, &f->catalog.id));
    *ret_node = *ret_catalog - segment_record_size(32 + object_size(f, &node));
}

static void a_damaged_node_is_what_its_base_has(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f), catalog, node;
    struct object_ref base = f->catalog;
    salvage_write_at(f, disk, CHUNK, CHUNK, false);
    fixture_commit(f);
    find_commit(f, &catalog, &node);
    salvage_write_at(f, disk, 9 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    salvage_spoil(f, 1, node + 50, 1);
    salvage_open_damaged(f, &base);
    salvage_assert_content(f, disk);
    struct salvage_told told = salvage_losses(f);
    assert_int_equal(told.count, 2);
    assert_int_equal(told.bytes, SALVAGE_SIZE - SALVAGE_BLOCK);
    salvage_assert_it_ends(f, disk);
}

static void without_a_catalog_the_commit_before_counts(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f), catalog, node;
    salvage_write_at(f, disk, 70 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f); /* in the journal before the commit that is lost */
    fixture_commit(f);
    find_commit(f, &catalog, &node);
    salvage_write_at(f, disk, 9 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    salvage_spoil(f, 1, catalog + 50, 1);
    salvage_open_damaged(f, NULL);
    salvage_assert_content(f, disk);
    assert_int_equal(salvage_lost_operations(f), 1);
    salvage_assert_it_ends(f, disk);
}

static unsigned newest_segment(struct fixture *f)
{
    unsigned newest = 0;
    for (unsigned i = 1; i < 16; i++) {
        char name[32];
        snprintf(name, sizeof name, "log/%016x", i);
        if (faccessat(f->dirfd, name, F_OK, 0) == 0)
            newest = i;
    }
    return newest;
}

static void damage_in_what_a_commit_left_over_is_told(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f);
    fixture_send_home(f);
    f->far.away = true;
    uint64_t before = site_log_bytes(f->log);
    salvage_write_at(f, disk, 40 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    salvage_write_at(f, disk, 3 * SALVAGE_BLOCK, SALVAGE_BLOCK, false);
    assert_true(fixture_tidy(f));
    uint64_t root = site_log_bytes(f->log) - before - segment_record_size(8 + 8 + 3 * 64 + 1 + 8);
    salvage_write_at(f, disk, 70 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f);
    salvage_write_at(f, disk, 71 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    /* before the root are the operations, before these the last record of blocks */
    salvage_spoil(f, newest_segment(f), root - 2500, 1);
    f->far.away = false;
    salvage_open_damaged(f, NULL);
    salvage_assert_content(f, disk);
    salvage_assert_lost(f, 3 * SALVAGE_BLOCK, SALVAGE_BLOCK, false);
    const struct log_damage *damage = salvage_only_damage(f);
    assert_true(damage->newer);
    assert_true(salvage_lost_operations(f) > 0); /* there may have been more */
    salvage_assert_it_ends(f, disk);
}

static void a_missing_segment_is_told(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f);
    fixture_reopen(f);
    salvage_write_at(f, disk, 40 * SALVAGE_BLOCK, SALVAGE_BLOCK, false);
    fixture_keep(f); /* segment 2 */
    salvage_write_at(f, disk, 43 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f); /* promises what is before it; this is moved to segment 3 */
    fixture_reopen(f);
    salvage_write_at(f, disk, 41 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    salvage_remove_segment(f, 2);
    salvage_open_damaged(f, NULL);
    const struct log_damage *damage = salvage_only_damage(f);
    assert_int_equal(damage->segment, 2);
    assert_true(damage->records >= 2); /* the next one says so */
    assert_true(damage->newer);
    salvage_assert_content(f, disk);
    salvage_assert_it_ends(f, disk);
}

static void a_first_segment_that_is_missing_is_told(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f);
    salvage_write_at(f, disk, 39 * SALVAGE_BLOCK, SALVAGE_BLOCK, false);
    fixture_keep(f); /* promises what is before it: that will not be moved on */
    fixture_reopen(f);
    salvage_write_at(f, disk, 40 * SALVAGE_BLOCK, SALVAGE_BLOCK, false);
    fixture_commit(f);
    fixture_close(f);
    salvage_remove_segment(f, 1);
    assert_int_equal(salvage_open_log(f, false, false), -EBADMSG);
    assert_int_equal(salvage_open_log(f, true, false), 0);
    const struct log_damage *damage = salvage_only_damage(f);
    assert_int_equal(damage->segment, 1);
    assert_int_equal(salvage_open_parcel(f, NULL), 0);
    assert_true(salvage_losses(f).bytes > 0);
}

static void assert_segment_is_lost(struct fixture *f, uint64_t disk, uint64_t number)
{
    salvage_open_damaged(f, NULL);
    const struct log_damage *damage = salvage_only_damage(f);
    assert_int_equal(damage->segment, number);
    assert_true(damage->newer);
    assert_true(damage->written > 0);
    salvage_assert_content(f, disk);
}

static void a_newest_segment_without_its_header_is_set_aside(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f);
    fixture_reopen(f);
    salvage_write_at(f, disk, 40 * SALVAGE_BLOCK, SALVAGE_BLOCK, false);
    fixture_keep(f);
    fixture_close(f);
    salvage_spoil(f, 2, 0, 20);
    assert_segment_is_lost(f, disk, 2);
    assert_int_equal(faccessat(f->dirfd, "log/0000000000000002.damaged", F_OK, 0), 0);
    /* who gave it up was killed before there was a root: it is not forgotten */
    fixture_close(f);
    assert_segment_is_lost(f, disk, 2);
    salvage_write_at(f, disk, 41 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    assert_segment_is_lost(f, disk, 2); /* in the log before what has its number now */
    salvage_assert_it_ends(f, disk);
}

/* Who gives up what is lost makes a segment, and may be killed at any point of that. */
static void a_segment_that_was_only_made_is_in_nobodys_way(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f), end, second = three_fsyncs(f, disk, &end);
    fixture_close(f);
    salvage_spoil(f, 1, second + 2000, 1);
    salvage_open_damaged(f, NULL);
    salvage_write_at(f, disk, 50 * SALVAGE_BLOCK, SALVAGE_BLOCK, false);
    fixture_keep(f); /* makes segment 2, of which only the header is left */
    fixture_close(f);
    salvage_empty_segment(f, 2, SEGMENT_HEADER_SIZE);
    salvage_open_damaged(f, NULL);
    salvage_assert_content(f, disk);
    salvage_write_at(f, disk, 51 * SALVAGE_BLOCK, SALVAGE_BLOCK, false);
    fixture_keep(f);
    fixture_close(f);
    salvage_empty_segment(f, 3, 0);
    assert_int_equal(salvage_open_log(f, true, false), 0);
    assert_int_equal(salvage_open_parcel(f, NULL), 0);
    salvage_assert_lost(f, 40 * SALVAGE_BLOCK, SALVAGE_BLOCK, false);
    salvage_assert_content(f, disk);
    salvage_assert_it_ends(f, disk);
}

/* --- damage at home --- */

/* The disk as it lies at home, a block of chunk 2 written in part of it, and that chunk's or the
 * node's object gone. */
static void lose_at_home(struct fixture *f, uint64_t disk, bool node)
{
    struct catalog *catalog;
    assert_int_equal(catalog_load(site_log_store(f->log), f->codec, &f->catalog, &catalog), 0);
    struct object_ref root = catalog->entries[0].root, chunk;
    unsigned height = catalog->entries[0].height;
    catalog_free(catalog);
    struct keyring_config config = {.codec = f->codec, .store = site_log_store(f->log)};
    struct keyring *k = keyring_new(&config, height, &root);
    assert_int_equal(keyring_lookup(k, 2, &chunk), 0);
    keyring_free(k);
    salvage_write_at(f, disk, 66 * SALVAGE_BLOCK, 2 * SALVAGE_BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    assert_int_equal(salvage_open_log(f, true, false), 0);
    f->far.gone = node ? root.id : chunk.id;
    assert_int_equal(salvage_open_parcel(f, NULL), 0);
}

static void a_base_that_is_gone_leaves_zeros_around_what_was_written(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f);
    lose_at_home(f, disk, false);
    assert_int_equal(salvage_losses(f).count, 0);
    memset(salvage_expected + 2 * CHUNK, 0, 2 * SALVAGE_BLOCK);
    memset(salvage_expected + 68 * SALVAGE_BLOCK, 0, 28 * SALVAGE_BLOCK);
    fixture_commit(f);
    salvage_assert_content(f, disk);
    struct salvage_told told = salvage_losses(f);
    assert_int_equal(told.count, 2);
    assert_true(told.zeros[0] && told.zeros[1]);
    assert_int_equal(told.offset[0], 2 * CHUNK);
    assert_int_equal(told.size[0], 2 * SALVAGE_BLOCK);
    assert_int_equal(told.offset[1], 68 * SALVAGE_BLOCK);
    assert_int_equal(told.size[1], 28 * SALVAGE_BLOCK);
}

static void a_node_that_is_gone_leaves_zeros_around_what_was_written(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f);
    lose_at_home(f, disk, true);
    uint8_t kept[2 * SALVAGE_BLOCK];
    memcpy(kept, salvage_expected + 66 * SALVAGE_BLOCK, sizeof kept);
    memset(salvage_expected, 0, SALVAGE_SIZE);
    memcpy(salvage_expected + 66 * SALVAGE_BLOCK, kept, sizeof kept);
    fixture_commit(f);
    salvage_assert_content(f, disk);
    assert_int_equal(salvage_losses(f).bytes, SALVAGE_SIZE - sizeof kept);
}

static void a_home_that_is_away_is_never_given_up(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f);
    lose_at_home(f, disk, false);
    f->far.away = true;
    struct site_root root = {0};
    parcel_freeze(f->parcel);
    assert_true(parcel_flush(f->parcel, true, &root) < 0);
    parcel_thaw(f->parcel);
    assert_int_equal(salvage_losses(f).count, 0);
}

/* --- what is no damage --- */

static void a_root_for_the_same_state_forgets_no_batch(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f);
    salvage_write_at(f, disk, 40 * SALVAGE_BLOCK, SALVAGE_BLOCK, true);
    fixture_keep(f);
    struct site_root root = {.current = f->catalog, .publishing = f->catalog};
    assert_int_equal(site_log_put_root(f->log, &root), 0); /* a check-in begins */
    assert_int_equal(site_log_flush(f->log), 0);
    fixture_reopen(f);
    salvage_assert_content(f, disk);
}

static void what_was_recovered_is_counted(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = salvage_make_disk(f), end;
    three_fsyncs(f, disk, &end);
    struct parcel_attr attr;
    assert_int_equal(parcel_create(f->parcel, CATALOG_ROOT, "new", 0600, &attr), 0);
    fixture_keep(f);
    fixture_reopen(f);
    struct parcel_recovered found;
    parcel_recovered(f->parcel, &found);
    assert_int_equal(found.changes, 5); /* blocks in four chunks' records, a name */
    assert_int_equal(found.files, 2);
    assert_int_equal(found.bytes, 4 * SALVAGE_BLOCK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(a_damaged_record_costs_its_blocks_alone),
        TEST(a_record_whose_length_is_damaged_costs_no_more),
        TEST(a_batch_that_is_lost_whole_is_counted),
        TEST(lost_operations_are_counted_and_the_blocks_kept),
        TEST(what_builds_on_lost_operations_is_left_out_and_counted),
        TEST(what_was_written_again_is_not_lost),
        TEST(a_damaged_chunk_is_what_its_base_has),
        TEST(a_damaged_node_is_what_its_base_has),
        TEST(without_a_catalog_the_commit_before_counts),
        TEST(damage_in_what_a_commit_left_over_is_told),
        TEST(a_missing_segment_is_told),
        TEST(a_first_segment_that_is_missing_is_told),
        TEST(a_newest_segment_without_its_header_is_set_aside),
        TEST(a_segment_that_was_only_made_is_in_nobodys_way),
        TEST(a_base_that_is_gone_leaves_zeros_around_what_was_written),
        TEST(a_node_that_is_gone_leaves_zeros_around_what_was_written),
        TEST(a_home_that_is_away_is_never_given_up),
        TEST(a_root_for_the_same_state_forgets_no_batch),
        TEST(what_was_recovered_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
