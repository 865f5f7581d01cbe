/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keyrings used by several threads: lookups beside each other and beside changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sched.h>
#include <stdatomic.h>

#include "isrfs/keyring/keyring.h"
#include "isrfs/keyring/tree.h" /* to count what is in memory */
#include "tests/unit/keyring_bench.h"
#include "tests/unit/memory_store.h"

struct lookup {
    struct bench *b;
    uint64_t index;
    struct object_ref ref;
    int result;
};

static void *look_up_once(void *arg)
{
    struct lookup *l = arg;
    l->result = keyring_lookup(l->b->k, l->index, &l->ref);
    return NULL;
}

/* Entries 0 and 256, of which the leaf of 256 cannot be got yet, and a thread that tries to. */
static pthread_t begin_slow_lookup(struct bench *b, struct lookup *l)
{
    pthread_t thread;

    bench_set(b, 0, 1);
    bench_set(b, 256, 1);
    bench_reopen(b);
    struct object_id id = bench_leaf_id(b, 1);
    bench_open(b);
    bench_assert_entry(b, 0, 1);
    memory_store_forget_counts(b->store);
    memory_store_hold(b->store, &id);
    *l = (struct lookup){.b = b, .index = 256};
    assert_int_equal(pthread_create(&thread, NULL, look_up_once, l), 0);
    memory_store_await(b->store);
    return thread;
}

static void a_slow_node_holds_up_nobody_else_and_is_read_once(void **state)
{
    struct bench *b = *state;
    struct lookup first, second = {.b = b, .index = 257};
    pthread_t slow = begin_slow_lookup(b, &first), other;

    bench_assert_entry(b, 0, 1);
    bench_set(b, 1, 2);
    assert_int_equal(pthread_create(&other, NULL, look_up_once, &second), 0);
    memory_store_let_go(b->store);
    pthread_join(slow, NULL);
    pthread_join(other, NULL);
    assert_int_equal(first.result, 0);
    assert_int_equal(second.result, 0);
    struct object_ref want = bench_entry_of(256, 1);
    assert_memory_equal(&first.ref, &want, sizeof want);
    assert_int_equal(memory_store_gets(b->store), 1);
}

static void what_is_cleared_while_it_is_read_is_a_hole(void **state)
{
    struct bench *b = *state;
    struct lookup l;
    pthread_t slow = begin_slow_lookup(b, &l);

    assert_int_equal(keyring_clear(b->k, 0, UINT64_MAX), 0);
    bench_save(b);
    memory_store_let_go(b->store);
    pthread_join(slow, NULL);
    assert_int_equal(l.result, 0);
    assert_true(object_id_is_hole(&l.ref.id));
    assert_int_equal(b->k->unchanged, 0);
}

static void a_tree_may_grow_while_it_is_read(void **state)
{
    struct bench *b = *state;
    struct lookup l;
    pthread_t slow = begin_slow_lookup(b, &l);

    bench_set(b, 1ull << 40, 1);
    bench_save(b);
    memory_store_let_go(b->store);
    pthread_join(slow, NULL);
    assert_int_equal(l.result, 0);
    bench_assert_entry(b, 256, 1);
    bench_assert_entry(b, 1ull << 40, 1);
}

enum { THREADS = 8, INDEXES = 800, ROUNDS = 24, STEP = 97 };

struct race {
    struct bench *b;
    atomic_bool over;
    atomic_uint ready;
    atomic_uint wrong;
};

/* Sees for each index a hole or an entry for this index, and generations that never go back. */
static void *look_up(void *arg)
{
    struct race *race = arg;
    uint64_t *seen = calloc(INDEXES, sizeof *seen);
    unsigned seed = atomic_fetch_add(&race->ready, 1);

    while (!atomic_load(&race->over)) {
        uint64_t i = (uint64_t)rand_r(&seed) % INDEXES, found;
        struct object_ref ref;

        if (keyring_lookup(race->b->k, i * STEP, &ref) < 0 ||
            keyring_next(race->b->k, i * STEP, i * STEP + 5, seed & 1, &found) < 0) {
            atomic_fetch_add(&race->wrong, 1);
            continue;
        }
        if (object_id_is_hole(&ref.id))
            continue;
        uint64_t generation = get_u64(ref.id.bytes + 8);
        struct object_ref want = bench_entry_of(i * STEP, generation);
        if (memcmp(&ref, &want, sizeof ref) != 0 || generation < seen[i])
            atomic_fetch_add(&race->wrong, 1);
        seen[i] = generation;
    }
    free(seen);
    return NULL;
}

static void lookups_beside_changes_see_old_or_new(void **state)
{
    struct bench *b = *state;
    struct race race = {.b = b};
    pthread_t threads[THREADS];

    b->loaded_max = 6;
    bench_open(b);
    for (unsigned t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, look_up, &race), 0);
    while (atomic_load(&race.ready) < THREADS)
        sched_yield();
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        /* the tree grows on the way, is emptied in part, and once as a whole */
        for (uint64_t i = round % 3; i < INDEXES * round / ROUNDS; i += 3)
            bench_set(b, i * STEP, round);
        if (round % 4 == 0)
            assert_int_equal(keyring_clear(b->k, round * 256, round * 2000), 0);
        if (round == ROUNDS / 2)
            assert_int_equal(keyring_clear(b->k, 0, UINT64_MAX), 0);
        bench_save(b);
    }
    atomic_store(&race.over, true);
    for (unsigned t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    assert_int_equal(atomic_load(&race.wrong), 0);
    assert_in_range(b->k->unchanged, 1, 6 + 3 + THREADS);
    bench_open(b);
    bench_assert_entry(b, ROUNDS % 3 * STEP, ROUNDS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_slow_node_holds_up_nobody_else_and_is_read_once),
        TEST(what_is_cleared_while_it_is_read_is_a_hole),
        TEST(a_tree_may_grow_while_it_is_read),
        TEST(lookups_beside_changes_see_old_or_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
