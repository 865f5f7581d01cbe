/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/keyring_bench.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "isrfs/keyring/tree.h" /* to see the nodes in memory */
#include "tests/unit/memory_store.h"

static const struct object_secret secret = {{7, 1, 2, 3}};

void bench_open(struct bench *b)
{
    struct keyring_config config = {
        .codec = b->codec, .store = b->store, .secret = &secret, .loaded_max = b->loaded_max};
    keyring_free(b->k);
    b->k = keyring_new(&config, b->height, &b->root);
    assert_non_null(b->k);
}

void bench_save(struct bench *b)
{
    assert_int_equal(keyring_save(b->k, memory_store_put, b->store, &b->root, &b->height), 0);
    assert_false(keyring_changed(b->k));
}

void bench_reopen(struct bench *b)
{
    bench_save(b);
    bench_open(b);
    memory_store_forget_counts(b->store);
}

int bench_set_up(void **state)
{
    static const struct codec_settings settings = {.method = CODEC_ZSTD};
    struct bench *b = calloc(1, sizeof *b);

    b->codec = codec_new(&settings);
    b->store = memory_store_new(b->codec);
    bench_open(b);
    *state = b;
    return 0;
}

int bench_tear_down(void **state)
{
    struct bench *b = *state;

    keyring_free(b->k);
    store_free(b->store);
    codec_free(b->codec);
    free(b);
    return 0;
}

/* An entry that tells for which index it was made, and when. */
struct object_ref bench_entry_of(uint64_t index, uint64_t generation)
{
    struct object_ref ref;

    memset(&ref, 0x5a, sizeof ref);
    put_u64(ref.id.bytes, index);
    put_u64(ref.id.bytes + 8, generation);
    put_u64(ref.key.bytes, ~index);
    put_u64(ref.key.bytes + 8, generation);
    return ref;
}

void bench_set(struct bench *b, uint64_t index, uint64_t generation)
{
    struct object_ref ref = bench_entry_of(index, generation);
    assert_int_equal(keyring_set(b->k, index, &ref), 0);
}

void bench_assert_entry(struct bench *b, uint64_t index, uint64_t generation)
{
    struct object_ref want = bench_entry_of(index, generation), ref;
    assert_int_equal(keyring_lookup(b->k, index, &ref), 0);
    assert_memory_equal(&ref, &want, sizeof ref);
}

void bench_assert_hole(struct bench *b, uint64_t index)
{
    struct object_ref ref;
    assert_int_equal(keyring_lookup(b->k, index, &ref), 0);
    assert_true(codec_is_zero(&ref, sizeof ref));
}

uint64_t bench_next(struct bench *b, uint64_t index, uint64_t end, bool data)
{
    uint64_t found;
    assert_int_equal(keyring_next(b->k, index, end, data, &found), 0);
    return found;
}

struct object_id bench_leaf_id(struct bench *b, unsigned slot)
{
    struct object_ref ref;
    assert_int_equal(keyring_lookup(b->k, (uint64_t)slot * 256, &ref), 0);
    return b->k->top->node.ids[slot];
}
