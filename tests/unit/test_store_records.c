/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records, stores read one after another, and the store that fails on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "isrfs/store/faulty.h"
#include "isrfs/store/stack.h"
#include "tests/unit/store_bench.h"

struct names {
    unsigned count;
    char last[64];
    int stop;
};

static int take_name(void *ctx, const char *name)
{
    struct names *n = ctx;
    n->count++;
    snprintf(n->last, sizeof n->last, "%s", name);
    return n->stop;
}

static void records_are_kept_listed_replaced_and_removed(void **state)
{
    struct fixture *f = *state;
    struct names names = {0};
    CLEANUP_BUFFER struct buffer out = {0};
    assert_int_equal(store_each_record(f->store, "versions/u", take_name, &names), 0);
    assert_int_equal(store_get_record(f->store, "versions/u/1-a", &out), -ENOENT);
    assert_int_equal(store_put_record(f->store, "versions/u/1-a", "one", 3), 0);
    assert_int_equal(store_put_record(f->store, "versions/u/1-a", "other", 5), 0);
    assert_int_equal(store_put_record(f->store, "versions/u/2-b", "two", 3), 0);
    char path[200];
    snprintf(path, sizeof path, "%s/versions/u/.tmp-0123456789abcdef", f->path);
    write_text(path, "torn", 4);
    assert_int_equal(store_each_record(f->store, "versions/u", take_name, &names), 0);
    assert_int_equal(names.count, 2);
    assert_int_equal(store_each_record(f->store, "versions", take_name, &names), 0);
    assert_int_equal(names.count, 3);
    assert_string_equal(names.last, "u");
    names.stop = 7;
    assert_int_equal(store_each_record(f->store, "versions/u", take_name, &names), 7);
    names.stop = -ENOTSUP;
    assert_int_equal(store_each_record(f->store, "versions/u", take_name, &names), -ENOTSUP);
    assert_int_equal(store_barrier(f->store), 0);
    reopen(f);
    assert_int_equal(store_get_record(f->store, "versions/u/1-a", &out), 0);
    assert_int_equal(out.size, 5);
    assert_memory_equal(out.data, "other", 5);
    assert_int_equal(store_remove_record(f->store, "versions/u/1-a"), 0);
    assert_int_equal(store_remove_record(f->store, "versions/u/1-a"), 0);
    assert_int_equal(store_get_record(f->store, "versions/u/1-a", &out), -ENOENT);
    assert_int_equal(store_barrier(f->store), 0);
}

static void names_that_lead_elsewhere_are_no_records(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"",
                                      "versions",
                                      "versions/u",
                                      "versions/u/",
                                      "versions//1",
                                      "versions/u/1/2",
                                      "versions/../1",
                                      "versions/u/..",
                                      "versions/u/.tmp-1",
                                      "versions/U/1",
                                      "/versions/u/1",
                                      "version/u/1",
                                      "chunks/u/1",
                                      "isrfs-store"};
    CLEANUP_BUFFER struct buffer out = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(store_put_record(f->store, bad[i], "x", 1), -EINVAL);
        assert_int_equal(store_get_record(f->store, bad[i], &out), -EINVAL);
        assert_int_equal(store_remove_record(f->store, bad[i]), -EINVAL);
    }
    char name[400] = "versions/u/";
    memset(name + 11, 'a', 300);
    assert_int_equal(store_put_record(f->store, name, "x", 1), -EINVAL);
    static const char big[STORE_RECORD_MAX + 1];
    assert_int_equal(store_put_record(f->store, "versions/u/1", big, sizeof big), -EINVAL);
    assert_int_equal(store_put_record(f->store, "versions/u/1", big, sizeof big - 1), 0);
    char path[200];
    snprintf(path, sizeof path, "%s/versions/u/1", f->path);
    assert_int_equal(truncate(path, sizeof big), 0);
    assert_int_equal(store_get_record(f->store, "versions/u/1", &out), -EBADMSG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0666), 0);
    assert_int_equal(store_get_record(f->store, "versions/u/1", &out), -EBADMSG);
}

static struct store *second_folder(struct fixture *f, const char *name)
{
    char path[200], uuid[STORE_UUID_HEX + 1];
    struct folder_config config = config_of(f);
    struct store *store;
    snprintf(path, sizeof path, "%s/%s", f->root, name);
    assert_int_equal(folder_create(path, FOLDER_FANOUT_2, uuid), 0);
    config.path = path;
    config.uuid = uuid;
    assert_int_equal(folder_open(&config, &store), 0);
    return store;
}

static void a_stack_reads_on_past_what_is_missing_or_damaged(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1), b = sample_of(f, 2), c = sample_of(f, 3);
    struct store *far = second_folder(f, "far");
    struct store *const both[] = {f->store, far};
    struct store *stack = stack_new(f->codec, &f->counters, both, 2);
    char path[400];
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(put(far, &a), 0);
    assert_int_equal(put(far, &b), 0);
    assert_int_equal(truncate(path_of(f, "chunks", &a, 0, path), 100), 0);
    assert_int_equal(get(f->store, &a), -EBADMSG);
    assert_int_equal(get(stack, &a), 0);
    assert_int_equal(get(stack, &b), 0);
    assert_int_equal(get(stack, &c), -ENOENT);
    assert_int_equal(store_has(stack, &b.id), 1);
    assert_int_equal(store_has(stack, &c.id), 0);
    assert_int_equal(store_remove(far, &a.id), 0);
    assert_int_equal(get(stack, &a), -EBADMSG);
    assert_int_equal(put(stack, &a), -EROFS);
    assert_int_equal(store_barrier(stack), -EROFS);
    store_free(stack);
    store_free(far);
}

static void a_stack_says_offline_rather_than_missing(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1), b = sample_of(f, 2);
    struct store *far = second_folder(f, "far");
    struct store *off = faulty_new(far, &(struct faulty_config){.seed = 1, .offline = 1000000});
    struct store *bad = faulty_new(far, &(struct faulty_config){.seed = 1, .get_error = 1000000});
    struct store *const all[] = {bad, off, f->store};
    struct store *stack = stack_new(f->codec, &f->counters, all, 3);
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(get(stack, &a), 0);
    assert_int_equal(get(stack, &b), -EHOSTDOWN);
    assert_int_equal(store_has(stack, &b.id), -EHOSTDOWN);
    faulty_calm(off);
    assert_int_equal(get(stack, &b), -EIO);
    faulty_calm(bad);
    assert_int_equal(get(stack, &b), -ENOENT);
    store_free(stack);
    store_free(off);
    store_free(bad);
    store_free(far);
}

/* What 200 calls on a faulty store with that seed give. */
static void run_faulty(struct fixture *f, uint64_t seed, const struct sample *s, int results[200])
{
    struct faulty_config config = {.seed = seed,
                                   .get_error = 100000,
                                   .get_missing = 100000,
                                   .get_truncated = 200000,
                                   .get_flipped = 200000,
                                   .put_error = 200000,
                                   .barrier_error = 200000,
                                   .offline = 50000,
                                   .delay_us_max = 10};
    struct store *faulty = faulty_new(f->store, &config);
    for (int i = 0; i < 200; i++)
        results[i] = i % 4 == 0   ? put(faulty, s)
                     : i % 4 == 1 ? store_barrier(faulty)
                                  : get(faulty, s);
    faulty_calm(faulty);
    for (int i = 0; i < 50; i++)
        assert_int_equal(get(faulty, s), 0);
    store_free(faulty);
}

static void a_faulty_store_fails_the_same_way_for_the_same_seed(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1);
    int first[200], again[200], other[200];
    assert_int_equal(put(f->store, &a), 0);
    run_faulty(f, 42, &a, first);
    run_faulty(f, 42, &a, again);
    run_faulty(f, 43, &a, other);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
    unsigned good = 0, damaged = 0, failed = 0, offline = 0, missing = 0;
    for (int i = 0; i < 200; i++) {
        good += first[i] == 0;
        damaged += first[i] == -EBADMSG;
        failed += first[i] == -EIO;
        offline += first[i] == -EHOSTDOWN;
        missing += first[i] == -ENOENT;
    }
    assert_true(good && damaged && failed && offline && missing);
    assert_int_equal(good + damaged + failed + offline + missing, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_are_kept_listed_replaced_and_removed),
        TEST(names_that_lead_elsewhere_are_no_records),
        TEST(a_stack_reads_on_past_what_is_missing_or_damaged),
        TEST(a_stack_says_offline_rather_than_missing),
        TEST(a_faulty_store_fails_the_same_way_for_the_same_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
