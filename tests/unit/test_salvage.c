/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A damaged log, and damage at home under what was changed: what is lost is named, and everything
 * else is as it was written. Every test compares all bytes. */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "isrfs/base/io.h"
#include "isrfs/keyring/keyring.h"
#include "isrfs/parcel/segment.h"
#include "tests/unit/parcel_fixture.h"

#define BLOCK  4096u
#define CHUNKS 4u
#define SIZE   (CHUNKS * CHUNK)

/* What the file is to be. */
static uint8_t expected[SIZE];

static void fill(struct fixture *f, uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        f->random = f->random * 6364136223846793005u + 1442695040888963407u;
        data[i] = (uint8_t)(f->random >> 56);
    }
}

/* Writes random bytes; they are expected if KEPT. */
static void write_at(struct fixture *f, uint64_t file, uint64_t offset, size_t size, bool kept)
{
    uint8_t *data = malloc(size);
    fill(f, data, size);
    assert_int_equal(parcel_write(f->parcel, file, data, size, offset), size);
    if (kept)
        memcpy(expected + offset, data, size);
    free(data);
}

static uint64_t log_end(struct fixture *f)
{
    uint64_t bytes, objects;
    site_log_usage(f->log, &bytes, &objects);
    return bytes;
}

/* A file of four chunks, committed. Until the log is closed all is in segment 1. */
static uint64_t make_disk(struct fixture *f)
{
    uint64_t disk = fixture_make(f, "disk.img");
    write_at(f, disk, 0, SIZE, true);
    fixture_commit(f);
    return disk;
}

static void spoil(struct fixture *f, unsigned segment, uint64_t offset, size_t size)
{
    char path[128];
    uint8_t bytes[8192];
    assert_true(size <= sizeof bytes);
    snprintf(path, sizeof path, "%s/log/%016x", f->path, segment);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, size, (off_t)offset), size);
    for (size_t i = 0; i < size; i++)
        bytes[i] ^= 0x5a;
    assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), size);
    close(fd);
}

static int open_log(struct fixture *f, bool salvage, bool give_up)
{
    uint8_t session[32] = {9};
    struct site_log_config config = {
        .dirfd = f->dirfd,
        .folder = "log",
        .session_key = session,
        .identity = "uuid nonce",
        .codec = f->codec,
        .salvage = salvage,
        .give_up = give_up,
    };
    return site_log_open(&config, &f->log, NULL);
}

/* BASE may be NULL. */
static int open_parcel(struct fixture *f, const struct object_ref *base)
{
    struct site_root root;
    assert_int_equal(site_log_newest_root(f->log, &root), 0);
    f->catalog = root.current;
    f->far.log = f->log;
    struct parcel_config config = {
        .codec = f->codec,
        .store = &f->far.store,
        .log = f->log,
        .secret = &f->secret,
        .pool = f->pool,
        .counters = &f->counters,
        .cache_bytes = 4 << 20,
        .dirty_bytes = f->dirty_bytes,
        .salvage = true,
        .base = base,
    };
    return parcel_open(&config, &f->catalog, &f->parcel);
}

/* After a close: the log is refused, and opens with salvage. */
static void open_damaged(struct fixture *f, const struct object_ref *base)
{
    assert_int_equal(open_log(f, false, false), -EBADMSG);
    assert_int_equal(open_log(f, true, true), 0);
    assert_int_equal(open_parcel(f, base), 0);
}

struct told {
    unsigned count;
    uint64_t bytes, offset[8], size[8];
    bool zeros[8];
    char path[8][32];
};

static int tell(void *ctx, const struct parcel_loss *loss)
{
    struct told *told = ctx;
    assert_true(told->count < 8);
    told->offset[told->count] = loss->offset;
    told->size[told->count] = loss->size;
    told->zeros[told->count] = loss->zeros;
    snprintf(told->path[told->count], sizeof told->path[0], "%s", loss->path ? loss->path : "?");
    told->bytes += loss->size;
    told->count++;
    return 0;
}

static struct told losses(struct fixture *f)
{
    struct told told = {0};
    assert_int_equal(parcel_each_loss(f->parcel, tell, &told), 0);
    return told;
}

static void assert_lost(struct fixture *f, uint64_t offset, uint64_t size, bool zeros)
{
    struct told told = losses(f);
    assert_int_equal(told.count, 1);
    assert_string_equal(told.path[0], "disk.img");
    assert_int_equal(told.offset[0], offset);
    assert_int_equal(told.size[0], size);
    assert_int_equal(told.zeros[0], zeros);
}

static void assert_content(struct fixture *f, uint64_t file)
{
    uint8_t *data = malloc(SIZE);
    assert_int_equal(parcel_read(f->parcel, file, data, SIZE, 0), SIZE);
    for (size_t i = 0; i < SIZE; i += BLOCK)
        if (memcmp(data + i, expected + i, BLOCK) != 0)
            fail_msg("block %zu is wrong", i / BLOCK);
    free(data);
}

static uint64_t lost_operations(struct fixture *f)
{
    uint64_t operations, records;
    parcel_lost(f->parcel, &operations, &records);
    return operations;
}

/* Commits what was salvaged: from then on nothing that is needed is hurt. */
static void assert_it_ends(struct fixture *f, uint64_t file)
{
    fixture_commit(f);
    assert_content(f, file);
    fixture_close(f);
    assert_int_equal(open_log(f, true, false), 0);
    const struct log_damage *all;
    for (size_t i = 0, count = site_log_damage(f->log, &all); i < count; i++)
        assert_false(all[i].newer);
    assert_int_equal(open_parcel(f, NULL), 0);
    assert_int_equal(losses(f).count, 0);
    assert_int_equal(lost_operations(f), 0);
    assert_content(f, file);
}

/* Three fsyncs of a block each; the second one's record of blocks begins at *RET. */
static uint64_t three_fsyncs(struct fixture *f, uint64_t disk, uint64_t *ret_end)
{
    write_at(f, disk, 3 * BLOCK, BLOCK, true);
    fixture_keep(f);
    uint64_t second = log_end(f);
    write_at(f, disk, 40 * BLOCK, BLOCK, false);
    fixture_keep(f);
    *ret_end = log_end(f);
    write_at(f, disk, 41 * BLOCK, BLOCK, true);
    write_at(f, disk, 4 * BLOCK, BLOCK, true);
    fixture_keep(f);
    return second;
}

static void a_damaged_record_costs_its_blocks_alone(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f), end, second = three_fsyncs(f, disk, &end);
    fixture_close(f);
    spoil(f, 1, second + 2000, 1);
    open_damaged(f, NULL);
    assert_content(f, disk);
    assert_lost(f, 40 * BLOCK, BLOCK, false);
    assert_int_equal(lost_operations(f), 0);
    const struct log_damage *all;
    assert_int_equal(site_log_damage(f->log, &all), 1);
    assert_int_equal(all[0].records, 1);
    assert_true(all[0].newer);
    assert_it_ends(f, disk);
}

static void a_record_whose_length_is_damaged_costs_no_more(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f), end, second = three_fsyncs(f, disk, &end);
    fixture_close(f);
    spoil(f, 1, second, 16);
    open_damaged(f, NULL);
    assert_content(f, disk);
    assert_lost(f, 40 * BLOCK, BLOCK, false);
    assert_it_ends(f, disk);
}

static void a_batch_that_is_lost_whole_is_counted(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f), end, second = three_fsyncs(f, disk, &end);
    fixture_close(f);
    spoil(f, 1, second, end - second);
    open_damaged(f, NULL);
    assert_content(f, disk);
    const struct log_damage *all;
    assert_int_equal(site_log_damage(f->log, &all), 1);
    assert_int_equal(all[0].records, 2); /* nobody knows what they held */
    assert_it_ends(f, disk);
}

static void lost_operations_are_counted_and_the_blocks_kept(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f);
    write_at(f, disk, 5 * BLOCK, BLOCK, true);
    struct parcel_attr attr;
    assert_int_equal(parcel_mkdir(f->parcel, CATALOG_ROOT, "folder", 0700, &attr), 0);
    fixture_keep(f);
    uint64_t end = log_end(f);
    write_at(f, disk, 6 * BLOCK, BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    spoil(f, 1, end - 20, 1); /* the batch's last record */
    open_damaged(f, NULL);
    assert_content(f, disk);
    assert_int_equal(lost_operations(f), 1);
    assert_int_equal(parcel_find(f->parcel, "folder", &attr), -ENOENT);
    assert_it_ends(f, disk);
}

static void what_builds_on_lost_operations_is_left_out_and_counted(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f);
    struct parcel_attr attr;
    assert_int_equal(parcel_mkdir(f->parcel, CATALOG_ROOT, "folder", 0700, &attr), 0);
    fixture_keep(f);
    uint64_t end = log_end(f);
    struct parcel_attr file;
    assert_int_equal(parcel_create(f->parcel, attr.file_id, "in it", 0600, &file), 0);
    assert_int_equal(parcel_write(f->parcel, file.file_id, "text", 4, 0), 4);
    write_at(f, disk, 6 * BLOCK, BLOCK, true);
    fixture_keep(f);
    write_at(f, disk, 7 * BLOCK, BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    spoil(f, 1, end - 20, 1);
    open_damaged(f, NULL);
    assert_content(f, disk);
    assert_int_equal(lost_operations(f),
                     1); /* its making; of the lost batch nothing is left to count */
    struct told told = losses(f);
    assert_int_equal(told.count, 1);
    assert_string_equal(told.path[0], "?");
    assert_int_equal(told.size[0], BLOCK);
}

static void what_was_written_again_is_not_lost(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f), end, second = three_fsyncs(f, disk, &end);
    write_at(f, disk, 40 * BLOCK, BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    spoil(f, 1, second + 2000, 1);
    open_damaged(f, NULL);
    assert_content(f, disk);
    assert_int_equal(losses(f).count, 0);
    assert_it_ends(f, disk);
}

static void a_damaged_chunk_is_what_its_base_has(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f);
    struct object_ref base = f->catalog;
    uint64_t begin = log_end(f);
    write_at(f, disk, CHUNK, CHUNK, false); /* one object, the first thing that is written now */
    fixture_commit(f);
    write_at(f, disk, CHUNK + BLOCK, BLOCK, true);
    fixture_keep(f);
    fixture_keep(f);
    fixture_close(f);
    spoil(f, 1, begin + 9000, 1);
    open_damaged(f, &base);
    assert_content(f, disk);
    struct told told = losses(f);
    assert_int_equal(told.count, 2); /* before and behind the block that was written later */
    assert_int_equal(told.offset[0], CHUNK);
    assert_int_equal(told.size[0], BLOCK);
    assert_int_equal(told.offset[1], CHUNK + 2 * BLOCK);
    assert_int_equal(told.size[1], CHUNK - 2 * BLOCK);
    assert_false(told.zeros[0]);
    assert_it_ends(f, disk);
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
    uint64_t root = log_end(f) - segment_record_size(8 + 8 + 3 * 64 + 1);
    *ret_catalog = root - segment_record_size(32 + object_size(f, &f->catalog.id));
    *ret_node = *ret_catalog - segment_record_size(32 + object_size(f, &node));
}

static void a_damaged_node_is_what_its_base_has(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f), catalog, node;
    struct object_ref base = f->catalog;
    write_at(f, disk, CHUNK, CHUNK, false);
    fixture_commit(f);
    find_commit(f, &catalog, &node);
    write_at(f, disk, 9 * BLOCK, BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    spoil(f, 1, node + 50, 1);
    open_damaged(f, &base);
    assert_content(f, disk);
    struct told told = losses(f);
    assert_int_equal(told.count, 2);
    assert_int_equal(told.bytes, SIZE - BLOCK);
    assert_it_ends(f, disk);
}

static void without_a_catalog_the_commit_before_counts(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f), catalog, node;
    write_at(f, disk, 70 * BLOCK, BLOCK, true);
    fixture_keep(f); /* in the journal before the commit that is lost */
    fixture_commit(f);
    find_commit(f, &catalog, &node);
    write_at(f, disk, 9 * BLOCK, BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    spoil(f, 1, catalog + 50, 1);
    open_damaged(f, NULL);
    assert_content(f, disk);
    assert_int_equal(lost_operations(f), 1);
    assert_it_ends(f, disk);
}

static void a_missing_segment_is_told(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f);
    fixture_reopen(f);
    write_at(f, disk, 40 * BLOCK, BLOCK, false);
    fixture_keep(f); /* segment 2 */
    fixture_reopen(f);
    write_at(f, disk, 41 * BLOCK, BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    char path[128];
    snprintf(path, sizeof path, "%s/log/%016x", f->path, 2);
    assert_int_equal(unlink(path), 0);
    open_damaged(f, NULL);
    const struct log_damage *all;
    assert_int_equal(site_log_damage(f->log, &all), 1);
    assert_int_equal(all[0].segment, 2);
    assert_int_equal(all[0].records, 2); /* the next one says so */
    assert_true(all[0].newer);
    assert_content(f, disk);
    assert_it_ends(f, disk);
}

static void a_first_segment_that_is_missing_is_told(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f);
    fixture_reopen(f);
    write_at(f, disk, 40 * BLOCK, BLOCK, false);
    fixture_commit(f);
    fixture_close(f);
    char path[128];
    snprintf(path, sizeof path, "%s/log/%016x", f->path, 1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(open_log(f, false, false), -EBADMSG);
    assert_int_equal(open_log(f, true, false), 0);
    const struct log_damage *all;
    assert_int_equal(site_log_damage(f->log, &all), 1);
    assert_int_equal(all[0].segment, 1);
    assert_int_equal(open_parcel(f, NULL), 0);
    assert_true(losses(f).bytes > 0);
}

static void a_newest_segment_without_its_header_is_set_aside(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f);
    fixture_reopen(f);
    write_at(f, disk, 40 * BLOCK, BLOCK, false);
    fixture_keep(f);
    fixture_close(f);
    spoil(f, 2, 0, 20);
    open_damaged(f, NULL);
    const struct log_damage *all;
    assert_int_equal(site_log_damage(f->log, &all), 1);
    assert_int_equal(all[0].segment, 2);
    assert_content(f, disk);
    assert_it_ends(f, disk);
    assert_int_equal(faccessat(f->dirfd, "log/0000000000000002.damaged", F_OK, 0), 0);
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
    write_at(f, disk, 66 * BLOCK, 2 * BLOCK, true);
    fixture_keep(f);
    fixture_close(f);
    assert_int_equal(open_log(f, true, false), 0);
    f->far.gone = node ? root.id : chunk.id;
    assert_int_equal(open_parcel(f, NULL), 0);
}

static void a_base_that_is_gone_leaves_zeros_around_what_was_written(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f);
    lose_at_home(f, disk, false);
    assert_int_equal(losses(f).count, 0);
    memset(expected + 2 * CHUNK, 0, 2 * BLOCK);
    memset(expected + 68 * BLOCK, 0, 28 * BLOCK);
    fixture_commit(f);
    assert_content(f, disk);
    struct told told = losses(f);
    assert_int_equal(told.count, 2);
    assert_true(told.zeros[0] && told.zeros[1]);
    assert_int_equal(told.offset[0], 2 * CHUNK);
    assert_int_equal(told.size[0], 2 * BLOCK);
    assert_int_equal(told.offset[1], 68 * BLOCK);
    assert_int_equal(told.size[1], 28 * BLOCK);
}

static void a_node_that_is_gone_leaves_zeros_around_what_was_written(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f);
    lose_at_home(f, disk, true);
    uint8_t kept[2 * BLOCK];
    memcpy(kept, expected + 66 * BLOCK, sizeof kept);
    memset(expected, 0, SIZE);
    memcpy(expected + 66 * BLOCK, kept, sizeof kept);
    fixture_commit(f);
    assert_content(f, disk);
    assert_int_equal(losses(f).bytes, SIZE - sizeof kept);
}

static void a_home_that_is_away_is_never_given_up(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f);
    lose_at_home(f, disk, false);
    f->far.away = true;
    struct object_ref catalog;
    parcel_freeze(f->parcel);
    assert_true(parcel_flush(f->parcel, &catalog) < 0);
    parcel_thaw(f->parcel);
    assert_int_equal(losses(f).count, 0);
}

/* --- what is no damage --- */

static void a_root_for_the_same_state_forgets_no_batch(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f);
    write_at(f, disk, 40 * BLOCK, BLOCK, true);
    fixture_keep(f);
    struct site_root root = {.current = f->catalog, .publishing = f->catalog};
    assert_int_equal(site_log_put_root(f->log, &root), 0); /* a check-in begins */
    assert_int_equal(site_log_flush(f->log), 0);
    fixture_reopen(f);
    assert_content(f, disk);
}

static void what_was_recovered_is_counted(void **state)
{
    struct fixture *f = *state;
    uint64_t disk = make_disk(f), end;
    three_fsyncs(f, disk, &end);
    struct parcel_attr attr;
    assert_int_equal(parcel_create(f->parcel, CATALOG_ROOT, "new", 0600, &attr), 0);
    fixture_keep(f);
    fixture_reopen(f);
    struct parcel_recovered found;
    parcel_recovered(f->parcel, &found);
    assert_int_equal(found.changes, 5); /* blocks in four chunks' records, a name */
    assert_int_equal(found.files, 2);
    assert_int_equal(found.bytes, 4 * BLOCK);
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
        TEST(a_missing_segment_is_told),
        TEST(a_first_segment_that_is_missing_is_told),
        TEST(a_newest_segment_without_its_header_is_set_aside),
        TEST(a_base_that_is_gone_leaves_zeros_around_what_was_written),
        TEST(a_node_that_is_gone_leaves_zeros_around_what_was_written),
        TEST(a_home_that_is_away_is_never_given_up),
        TEST(a_root_for_the_same_state_forgets_no_batch),
        TEST(what_was_recovered_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
