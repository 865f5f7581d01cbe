/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keyrings, as the parcel uses them, over a store in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "isrfs/keyring/keyring.h"
#include "isrfs/keyring/tree.h" /* to count what is in memory */
#include "tests/unit/keyring_bench.h"
#include "tests/unit/memory_store.h"

static void the_height_is_what_the_count_needs(void **state)
{
    (void)state;
    assert_int_equal(keyring_height_for(0), 0);
    assert_int_equal(keyring_height_for(1), 1);
    assert_int_equal(keyring_height_for(256), 1);
    assert_int_equal(keyring_height_for(257), 2);
    assert_int_equal(keyring_height_for(65536), 2);
    assert_int_equal(keyring_height_for(65537), 3);
    assert_int_equal(keyring_height_for(1ull << 56), 7);
    assert_int_equal(keyring_height_for(UINT64_MAX), 8);
}

static void an_empty_keyring_has_no_nodes(void **state)
{
    struct bench *b = *state;

    bench_assert_hole(b, 0);
    bench_assert_hole(b, UINT64_MAX);
    assert_int_equal(bench_next(b, 0, 1000, true), 1000);
    assert_int_equal(bench_next(b, 0, 1000, false), 0);
    bench_save(b);
    assert_int_equal(b->height, 0);
    assert_true(object_id_is_hole(&b->root.id));
    assert_int_equal(memory_store_puts(b->store), 0);
}

static void entries_anywhere_survive_save_and_reopen(void **state)
{
    static const uint64_t at[] = {0,          1,
                                  255,        256,
                                  257,        65535,
                                  65536,      65537,
                                  1ull << 40, (1ull << 40) + 300,
                                  1ull << 63, UINT64_MAX - 1};
    static const unsigned heights[] = {1, 1, 1, 2, 2, 2, 3, 3, 6, 6, 8, 8};
    struct bench *b = *state;

    for (size_t count = 1; count <= sizeof at / sizeof *at; count++) {
        bench_set(b, at[count - 1], count);
        assert_true(keyring_changed(b->k));
        bench_reopen(b);
        assert_int_equal(b->height, heights[count - 1]);
        for (size_t i = 0; i < count; i++)
            bench_assert_entry(b, at[i], i + 1);
        bench_assert_hole(b, 2);
        bench_assert_hole(b, 1ull << 30);
        bench_assert_hole(b, (1ull << 63) - 1);
    }
    assert_int_equal(keyring_set(b->k, UINT64_MAX, &(struct object_ref){.id = {{1}}}), -EFBIG);
}

static void an_old_entry_can_be_replaced_and_made_a_hole(void **state)
{
    struct bench *b = *state;

    bench_set(b, 70000, 1);
    bench_set(b, 70001, 1);
    bench_reopen(b);
    bench_set(b, 70000, 2);
    assert_int_equal(keyring_set(b->k, 70001, &(struct object_ref){.key = {{9}}}), 0);
    bench_assert_entry(b, 70000, 2);
    bench_assert_hole(b, 70001);
    bench_reopen(b);
    bench_assert_entry(b, 70000, 2);
    bench_assert_hole(b, 70001);
}

static void setting_the_same_again_changes_nothing(void **state)
{
    struct bench *b = *state;

    bench_set(b, 500, 1);
    bench_reopen(b);
    bench_set(b, 500, 1);
    assert_int_equal(keyring_set(b->k, 1ull << 50, &(struct object_ref){0}), 0);
    assert_false(keyring_changed(b->k));
    bench_save(b);
    assert_int_equal(memory_store_puts(b->store), 0);
}

static void equal_content_gives_equal_trees(void **state)
{
    struct bench *b = *state;

    bench_set(b, 3, 1);
    bench_set(b, 300, 1);
    bench_save(b);
    struct object_ref first = b->root;
    bench_set(b, 255, 1);
    bench_set(b, 700, 1);
    bench_reopen(b);
    assert_int_equal(keyring_clear(b->k, 255, 256), 0);
    assert_int_equal(keyring_clear(b->k, 512, UINT64_MAX), 0);
    bench_save(b);
    assert_memory_equal(&b->root, &first, sizeof first);
}

static void only_the_path_to_a_change_is_written(void **state)
{
    struct bench *b = *state;

    for (uint64_t i = 0; i < 300; i++)
        bench_set(b, i * 256, 1);
    bench_save(b);
    assert_int_equal(memory_store_puts(b->store), 300 + 2 + 1);
    bench_reopen(b);
    bench_set(b, 290 * 256 + 7, 2);
    assert_int_equal(memory_store_gets(b->store), 3);
    bench_save(b);
    assert_int_equal(memory_store_puts(b->store), 3);
}

static void clearing_drops_whole_subtrees_unread(void **state)
{
    struct bench *b = *state;

    for (uint64_t i = 0; i < 600; i++)
        bench_set(b, i * 256 + 5, 1);
    bench_reopen(b);
    assert_int_equal(keyring_clear(b->k, 100, 599 * 256), 0);
    /* the root, the two nodes at the edges, and the first leaf */
    assert_in_range(memory_store_gets(b->store), 1, 4);
    bench_assert_entry(b, 5, 1);
    bench_assert_hole(b, 256 + 5);
    bench_assert_hole(b, 598 * 256 + 5);
    bench_assert_entry(b, 599 * 256 + 5, 1);
    bench_reopen(b);
    assert_int_equal(bench_next(b, 6, UINT64_MAX, true), 599 * 256 + 5);
    assert_int_equal(keyring_clear(b->k, 0, UINT64_MAX), 0);
    bench_reopen(b);
    assert_int_equal(b->height, 0);
    assert_true(object_id_is_hole(&b->root.id));
    bench_set(b, 9, 3);
    bench_reopen(b);
    bench_assert_entry(b, 9, 3);
}

static void what_was_emptied_entry_by_entry_is_a_hole_again(void **state)
{
    struct bench *b = *state;

    bench_set(b, 66000, 1);
    bench_set(b, 66001, 1);
    bench_save(b);
    assert_int_equal(keyring_set(b->k, 66000, &(struct object_ref){0}), 0);
    assert_int_equal(keyring_set(b->k, 66001, &(struct object_ref){0}), 0);
    memory_store_forget_counts(b->store);
    bench_save(b);
    assert_int_equal(memory_store_puts(b->store), 0);
    assert_int_equal(b->height, 0);
    bench_assert_hole(b, 66000);
}

static void data_and_holes_are_found_without_reading_holes(void **state)
{
    struct bench *b = *state;

    bench_set(b, 10, 1);
    bench_set(b, 11, 1);
    bench_set(b, 1ull << 40, 1);
    bench_reopen(b);
    assert_int_equal(bench_next(b, 0, UINT64_MAX, true), 10);
    assert_int_equal(bench_next(b, 0, 10, true), 10);
    assert_int_equal(bench_next(b, 10, UINT64_MAX, false), 12);
    assert_int_equal(bench_next(b, 12, UINT64_MAX, true), 1ull << 40);
    assert_int_equal(bench_next(b, 12, 1ull << 40, true), 1ull << 40);
    assert_int_equal(bench_next(b, (1ull << 40) + 1, UINT64_MAX, true), UINT64_MAX);
    assert_int_equal(bench_next(b, 1ull << 60, UINT64_MAX, false), 1ull << 60);
    assert_int_equal(bench_next(b, 5, 5, true), 5);
    /* the root, and the rest of the two paths */
    assert_in_range(memory_store_gets(b->store), 1, 1 + 5 + 5);
}

static void a_full_range_has_no_hole(void **state)
{
    struct bench *b = *state;

    for (uint64_t i = 0; i < 1000; i++)
        bench_set(b, i, 1);
    assert_int_equal(bench_next(b, 0, 1000, false), 1000);
    assert_int_equal(bench_next(b, 0, 2000, false), 1000);
    assert_int_equal(bench_next(b, 999, 1000, true), 999);
}

/* Any order of operations gives what a plain table would, whatever is forgotten and read again. */
static void a_keyring_is_a_table(void **state)
{
    enum { SIZE = 140000, SPAN = 700 };
    struct bench *b = *state;
    unsigned seed = 20;
    uint8_t *model = calloc(SIZE, 1);

    b->loaded_max = 2;
    bench_open(b);
    for (unsigned round = 0; round < 3000; round++) {
        uint64_t at = (uint64_t)rand_r(&seed) % (SIZE - SPAN);
        unsigned length = (unsigned)rand_r(&seed) % SPAN;
        uint8_t value = (uint8_t)(1 + round % 255);

        switch (rand_r(&seed) % 8) {
        case 0:
            assert_int_equal(keyring_clear(b->k, at, at + 30 * length), 0);
            memset(model + at, 0, at + 30 * length < SIZE ? 30 * length : SIZE - at);
            break;
        case 1:
            round % 2 ? bench_save(b) : bench_reopen(b);
            break;
        case 2:
            while (length < SPAN && model[at + length])
                length++;
            if (!model[at + length])
                assert_int_equal(bench_next(b, at + length, at + SPAN, false),
                                 length < SPAN ? at + length : at + SPAN);
            break;
        default:
            for (uint64_t i = at; i < at + length % 64; i++) {
                bench_set(b, i, value);
                model[i] = value;
            }
        }
        if (model[at])
            bench_assert_entry(b, at, model[at]);
        else
            bench_assert_hole(b, at);
    }
    bench_reopen(b);
    for (uint64_t i = 0, data = bench_next(b, 0, SIZE, true); i < SIZE; i++) {
        if (!model[i])
            continue;
        assert_int_equal(data, i);
        bench_assert_entry(b, i, model[i]);
        data = bench_next(b, i + 1, SIZE, true);
    }
    free(model);
}

static void few_nodes_stay_in_memory(void **state)
{
    struct bench *b = *state;

    b->loaded_max = 8;
    bench_open(b);
    for (uint64_t i = 0; i < 1000; i++)
        bench_set(b, i * 256, 1);
    assert_int_equal(b->k->unchanged, 0);
    bench_save(b);
    assert_in_range(b->k->unchanged, 1, 8 + 3);
    memory_store_forget_counts(b->store);
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 1000; i++) {
            bench_assert_entry(b, i * 256, 1);
            assert_in_range(b->k->unchanged, 1, 8 + 3);
        }
    }
    assert_in_range(memory_store_gets(b->store), 2 * 990, 2 * 1010);
    /* what is used again and again stays */
    memory_store_forget_counts(b->store);
    for (uint64_t i = 0; i < 100; i++) {
        bench_assert_entry(b, i % 4 * 256, 1);
    }
    assert_in_range(memory_store_gets(b->store), 4, 5);
}

static int fail_third(void *ctx, const struct object_id *id, const void *object, size_t size)
{
    unsigned *count = ctx;
    (void)id, (void)object, (void)size;
    return ++*count == 3 ? -ENOSPC : 0;
}

static void a_failed_save_loses_nothing(void **state)
{
    struct bench *b = *state;
    unsigned count = 0;

    for (uint64_t i = 0; i < 6; i++)
        bench_set(b, i * 256, 1);
    assert_int_equal(keyring_save(b->k, fail_third, &count, &b->root, &b->height), -ENOSPC);
    assert_true(keyring_changed(b->k));
    for (uint64_t i = 0; i < 6; i++)
        bench_assert_entry(b, i * 256, 1);
    bench_save(b);
    assert_int_equal(memory_store_puts(b->store), 7); /* also those that were taken before */
    bench_open(b);
    for (uint64_t i = 0; i < 6; i++)
        bench_assert_entry(b, i * 256, 1);
}

static void a_damaged_node_fails_its_range_only(void **state)
{
    struct bench *b = *state;
    struct object_ref ref;
    uint64_t found;

    for (uint64_t i = 0; i < 4; i++)
        bench_set(b, i * 256 + 1, 1);
    bench_reopen(b);
    struct object_id id = bench_leaf_id(b, 2);
    bench_open(b);
    memory_store_flip(b->store, &id, 1000);
    for (unsigned round = 0; round < 2; round++) {
        bench_assert_entry(b, 257, 1);
        bench_assert_entry(b, 3 * 256 + 1, 1);
        assert_int_equal(keyring_lookup(b->k, 2 * 256, &ref), -EBADMSG);
        assert_int_equal(keyring_lookup(b->k, 3 * 256 - 1, &ref), -EBADMSG);
    }
    assert_int_equal(keyring_next(b->k, 258, 2000, true, &found), -EBADMSG);
    ref = bench_entry_of(2 * 256, 2);
    assert_int_equal(keyring_set(b->k, 2 * 256, &ref), -EBADMSG);
    assert_int_equal(keyring_clear(b->k, 2 * 256, 2 * 256 + 1), -EBADMSG);
    assert_false(keyring_changed(b->k));
    memory_store_flip(b->store, &id, 1000);
    bench_assert_entry(b, 2 * 256 + 1, 1); /* a failure is not remembered */
}

static void a_missing_node_is_told_and_can_be_cleared_away(void **state)
{
    struct bench *b = *state;
    struct object_ref ref;

    bench_set(b, 0, 1);
    bench_set(b, 256, 1);
    bench_reopen(b);
    struct object_id id = bench_leaf_id(b, 0);
    bench_open(b);
    assert_int_equal(store_remove(b->store, &id), 0);
    assert_int_equal(keyring_lookup(b->k, 0, &ref), -ENOENT);
    bench_assert_entry(b, 256, 1);
    assert_int_equal(keyring_clear(b->k, 0, 256), 0);
    bench_reopen(b);
    bench_assert_hole(b, 0);
    bench_assert_entry(b, 256, 1);
}

static void without_a_secret_it_is_read_only(void **state)
{
    struct bench *b = *state;
    struct object_ref ref = bench_entry_of(1, 1);

    bench_set(b, 300, 1);
    bench_save(b);
    struct keyring_config config = {.codec = b->codec, .store = b->store};
    keyring_free(b->k);
    b->k = keyring_new(&config, b->height, &b->root);
    bench_assert_entry(b, 300, 1);
    assert_int_equal(keyring_set(b->k, 1, &ref), -EROFS);
    assert_int_equal(keyring_clear(b->k, 0, 1000), -EROFS);
    bench_assert_entry(b, 300, 1);
}

static void a_root_that_cannot_be_is_refused(void **state)
{
    struct bench *b = *state;
    struct keyring_config config = {.codec = b->codec, .store = b->store};
    struct object_ref ref = bench_entry_of(0, 0);

    assert_null(keyring_new(&config, 0, &ref));
    assert_int_equal(errno, EINVAL);
    assert_null(keyring_new(&config, 9, &ref));
    assert_int_equal(errno, EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_height_is_what_the_count_needs),
        TEST(an_empty_keyring_has_no_nodes),
        TEST(entries_anywhere_survive_save_and_reopen),
        TEST(an_old_entry_can_be_replaced_and_made_a_hole),
        TEST(setting_the_same_again_changes_nothing),
        TEST(equal_content_gives_equal_trees),
        TEST(only_the_path_to_a_change_is_written),
        TEST(clearing_drops_whole_subtrees_unread),
        TEST(what_was_emptied_entry_by_entry_is_a_hole_again),
        TEST(data_and_holes_are_found_without_reading_holes),
        TEST(a_full_range_has_no_hole),
        TEST(a_keyring_is_a_table),
        TEST(few_nodes_stay_in_memory),
        TEST(a_failed_save_loses_nothing),
        TEST(a_damaged_node_fails_its_range_only),
        TEST(a_missing_node_is_told_and_can_be_cleared_away),
        TEST(without_a_secret_it_is_read_only),
        TEST(a_root_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
