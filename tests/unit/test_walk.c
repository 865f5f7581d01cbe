/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Walking without keys, as push, verify and the keyless tools do it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "isrfs/keyring/walk.h"
#include "tests/unit/keyring_bench.h"
#include "tests/unit/memory_store.h"

static const struct object_secret secret = {{1}};

static struct object_id save(struct bench *b)
{
    bench_save(b);
    return b->root.id;
}

/* What a walk reached. */
struct seen {
    size_t nodes, chunks, patches, bad;
    uint64_t chunk_sum; /* of the indexes */
    uint64_t bad_index;
    size_t not_into; /* nodes not to be entered, from the last one met */
    int stop;        /* with this, at the first chunk */
    bool wrong;
};

static int see(void *ctx, enum object_kind kind, const struct object_id *id, uint64_t index,
               const void *object, size_t size)
{
    struct seen *s = ctx;

    switch (kind) {
    case OBJECT_NODE:
        s->nodes++;
        s->wrong |= !object || size == 0;
        return s->not_into && s->nodes > 1 ? 1 : 0;
    case OBJECT_CHUNK:
        s->chunks++;
        s->chunk_sum += index;
        s->wrong |= object || get_u64(id->bytes) != index;
        return s->stop;
    default:
        s->patches += kind == OBJECT_PATCH;
        s->wrong |= kind != OBJECT_PATCH || object;
        return 0;
    }
}

static int pass_over(void *ctx, const struct object_id *id, uint64_t index, int error)
{
    struct seen *s = ctx;
    (void)id;
    s->bad++;
    s->bad_index = index;
    s->wrong |= error >= 0;
    return 0;
}

static int walk(struct bench *b, const struct object_id *root, const struct object_id *base,
                struct seen *seen)
{
    const struct walk_visitor visitor = {.object = see, .bad = pass_over, .ctx = seen};
    int r = walk_tree(b->store, b->codec, root, base, &visitor);
    assert_false(seen->wrong);
    return r;
}

static void assert_walk(struct bench *b, const struct object_id *root, const struct object_id *base,
                        size_t nodes, size_t chunks)
{
    struct seen seen = {0};
    assert_int_equal(walk(b, root, base, &seen), 0);
    assert_int_equal(seen.bad, 0);
    assert_int_equal(seen.nodes, nodes);
    assert_int_equal(seen.chunks, chunks);
}

static void everything_is_visited_once_with_its_place(void **state)
{
    struct bench *b = *state;
    uint64_t sum = 0;
    struct seen seen = {0};

    for (uint64_t i = 0; i < 900; i += 3, sum += 7 * (i - 3))
        bench_set(b, 7 * i, 1);
    bench_set(b, 1ull << 40, 1);
    struct object_id root = save(b);
    assert_int_equal(walk(b, &root, NULL, &seen), 0);
    assert_int_equal(seen.chunks, 301);
    assert_int_equal(seen.chunk_sum, sum + (1ull << 40));
    /* 25 leaves on the left, one on the right, each below its own path from the root */
    assert_int_equal(seen.nodes, 1 + 25 + 4 + 1 + 4);
    assert_int_equal(memory_store_gets(b->store), seen.nodes);
}

static void a_base_hides_what_both_have(void **state)
{
    struct bench *b = *state;
    const struct object_id hole = {{0}};

    for (uint64_t i = 0; i < 1000; i++)
        bench_set(b, i * 100, 1);
    struct object_id base = save(b);
    bench_set(b, 50000, 2);
    bench_set(b, 7, 1);
    struct object_id root = save(b);
    assert_walk(b, &root, &base, 1 + 2 * 1 + 1, 2);
    assert_walk(b, &root, &root, 0, 0);
    assert_walk(b, &root, &hole, 394, 1001);
    assert_int_equal(keyring_clear(b->k, 50000, 50001), 0);
    struct object_id less = save(b);
    assert_walk(b, &less, &root, 3, 0);
}

static void trees_of_unlike_height_meet_at_the_left(void **state)
{
    struct bench *b = *state;

    bench_set(b, 1, 1);
    bench_set(b, 2, 1);
    struct object_id low = save(b);
    assert_int_equal(b->height, 1);
    bench_set(b, 3, 1);
    bench_set(b, 1ull << 20, 1);
    struct object_id high = save(b);
    assert_int_equal(b->height, 3);
    /* the root, the left path (2) with entry 3, the right path (2) with its chunk */
    assert_walk(b, &high, &low, 5, 2);
    /* and the other way round: the low root differs, two of its entries do not */
    assert_walk(b, &low, &high, 1, 0);
    bench_set(b, 5000, 1);
    assert_int_equal(keyring_clear(b->k, 3, 4), 0);
    struct object_id same_left = save(b);
    assert_walk(b, &low, &same_left, 0, 0);
    assert_walk(b, &same_left, &low, 1 + 1 + 1 + 2, 2);
}

static void an_unreadable_base_hides_nothing(void **state)
{
    struct bench *b = *state;

    bench_set(b, 1, 1);
    bench_set(b, 300, 1);
    struct object_id base = save(b);
    bench_set(b, 2, 1);
    struct object_id root = save(b);
    assert_walk(b, &root, &base, 2, 1);
    assert_int_equal(store_remove(b->store, &base), 0);
    assert_walk(b, &root, &base, 3, 3);
}

static void a_visitor_may_skip_and_stop(void **state)
{
    struct bench *b = *state;
    struct seen not_into = {.not_into = 1}, stop = {.stop = -ECANCELED};

    for (uint64_t i = 0; i < 10; i++)
        bench_set(b, i * 256, 1);
    struct object_id root = save(b);
    assert_int_equal(walk(b, &root, NULL, &not_into), 0);
    assert_int_equal(not_into.nodes, 11);
    assert_int_equal(not_into.chunks, 0);
    assert_int_equal(walk(b, &root, NULL, &stop), -ECANCELED);
    assert_int_equal(stop.chunks, 1);
}

static int remember_second(void *ctx, enum object_kind kind, const struct object_id *id,
                           uint64_t index, const void *object, size_t size)
{
    (void)object, (void)size;
    if (kind == OBJECT_NODE && index == 256)
        *(struct object_id *)ctx = *id;
    return 0;
}

static void a_bad_node_is_told_and_the_rest_is_walked(void **state)
{
    struct bench *b = *state;
    struct object_id second = {{0}};
    const struct walk_visitor finder = {.object = remember_second, .ctx = &second};
    struct seen seen = {0};

    for (uint64_t i = 0; i < 4; i++)
        bench_set(b, i * 256, 1);
    struct object_id root = save(b);
    assert_int_equal(walk_tree(b->store, b->codec, &root, NULL, &finder), 0);
    memory_store_flip(b->store, &second, 77);
    assert_int_equal(walk(b, &root, NULL, &seen), 0);
    assert_int_equal(seen.bad, 1);
    assert_int_equal(seen.bad_index, 256);
    assert_int_equal(seen.chunks, 3);
    assert_int_equal(walk_tree(b->store, b->codec, &root, NULL, &finder), -EBADMSG);
    assert_int_equal(store_remove(b->store, &second), 0);
    assert_int_equal(walk_tree(b->store, b->codec, &root, NULL, &finder), -ENOENT);
}

/* A node as anybody who may write to the store could make it. */
static struct object_ref plant(struct bench *b, unsigned level, unsigned patches,
                               const struct object_id *ids, size_t count)
{
    CLEANUP_BUFFER struct buffer clear = {0};
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref ref;
    uint8_t keys[600 * 32] = {0};

    assert_int_equal(buffer_put_u8(&clear, (uint8_t)level), 0);
    assert_int_equal(buffer_put_u8(&clear, (uint8_t)patches), 0);
    assert_int_equal(buffer_put_u16(&clear, (uint16_t)(count - patches)), 0);
    assert_int_equal(buffer_append(&clear, ids, count * sizeof *ids), 0);
    assert_int_equal(codec_seal(b->codec, &secret, OBJECT_NODE, clear.data, clear.size, keys,
                                count * 32, &object, &ref),
                     0);
    assert_int_equal(store_put(b->store, &ref.id, object.data, object.size), 0);
    return ref;
}

static void levels_count_down_so_that_nothing_loops(void **state)
{
    struct bench *b = *state;
    struct object_id chunk = {{1}};
    struct seen seen = {0}, highest = {0};

    struct object_ref leaf = plant(b, 0, 0, &chunk, 1);
    struct object_ref far = plant(b, 2, 0, &leaf.id, 1);  /* its child should be at level 1 */
    struct object_ref level = plant(b, 1, 0, &far.id, 1); /* its child is higher than itself */
    struct object_ref too_high = plant(b, 8, 0, &far.id, 1);
    assert_int_equal(walk(b, &far.id, NULL, &seen), 0);
    assert_int_equal(seen.nodes, 1);
    assert_int_equal(seen.bad, 1);
    assert_int_equal(walk(b, &level.id, NULL, &seen), 0);
    assert_int_equal(seen.nodes, 2);
    assert_int_equal(seen.bad, 2);
    assert_int_equal(walk(b, &too_high.id, NULL, &highest), 0);
    assert_int_equal(highest.nodes, 0);
    assert_int_equal(highest.bad, 1);
}

static void patches_are_visited_unless_the_base_has_them(void **state)
{
    struct bench *b = *state;
    struct object_id ids[] = {{{0}}, {{10}}, {{11}}, {{12}}};
    struct seen all = {0}, new = {0};

    struct object_ref base = plant(b, 0, 2, ids, 3);
    ids[1] = ids[3];
    struct object_ref root = plant(b, 0, 3, ids, 4);
    assert_int_equal(walk(b, &root.id, NULL, &all), 0);
    assert_int_equal(all.patches, 3);
    assert_int_equal(walk(b, &root.id, &base.id, &new), 0);
    assert_int_equal(new.patches, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(everything_is_visited_once_with_its_place),
        TEST(a_base_hides_what_both_have),
        TEST(trees_of_unlike_height_meet_at_the_left),
        TEST(an_unreadable_base_hides_nothing),
        TEST(a_visitor_may_skip_and_stop),
        TEST(a_bad_node_is_told_and_the_rest_is_walked),
        TEST(levels_count_down_so_that_nothing_loops),
        TEST(patches_are_visited_unless_the_base_has_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
