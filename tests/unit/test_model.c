/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A parcel whose home fails: errors, delays, objects that are cut off, flipped, torn or gone, by
 * seed. Threads read, write, zero, truncate, sync and commit, and files come and go beside; every
 * read gives what was written or EIO. Between rounds the parcel is opened again as after a crash,
 * or brought home and opened from there; when the home is well again, everything is readable and a
 * commit works.
 *
 * EXERCISE_SEED in the environment chooses another seed. What each thread does follows from it; how
 * they meet does not. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/random.h"
#include "tests/unit/model_names.h"

#define PIECE_MAX (2u * CHUNK)
#define THREADS   4u
#define ROUNDS    8u
#define OPS       500u /* of a thread in a round */
#define NAME_OPS  300u /* of the one that makes and removes files */

#define SECONDS_MAX 900u

struct worker {
    struct world *world;
    pthread_t thread;
    uint64_t random;
    uint8_t *data; /* PIECE_MAX bytes */
};

/* --- what threads do --- */

/* Users get EIO for both. */
static bool is_of_the_home(int error)
{
    return error == -EIO || error == -EHOSTDOWN;
}

static void check_read(struct world *w, unsigned file, uint64_t offset, uint8_t *data,
                       uint64_t size, uint64_t file_size)
{
    ssize_t n = parcel_read(w->parcel, w->ids[file], data, size, offset);
    atomic_fetch_add(n < 0 ? &w->failed_reads : &w->reads, 1);
    if (n < 0) {
        if (!is_of_the_home((int)n))
            world_wrong(w, "a read fails in another way than EIO", offset, (int)n);
        return;
    }
    uint64_t left = offset < file_size ? file_size - offset : 0, at = offset;
    if ((uint64_t)n != (left < size ? left : size))
        world_wrong(w, "a read gives too little or too much", offset, 0);
    else if (!model_file_check(w->models[file], offset, data, (uint64_t)n, &at))
        world_wrong(w, "a read gives what was not written", at, 0);
}

static uint64_t size_now(struct world *w, unsigned file)
{
    struct parcel_attr attr = {0};
    int r = parcel_getattr(w->parcel, w->ids[file], &attr);
    if (r < 0)
        world_wrong(w, "a file is gone", 0, r);
    return attr.size;
}

/* A change of OFFSET to END came back with R; the size was BEFORE and becomes AFTER. */
static void note_change(struct world *w, unsigned file, uint64_t offset, const uint8_t *data,
                        uint64_t end, int r, uint64_t before, uint64_t after)
{
    uint64_t size = after;
    if (r < 0) {
        atomic_fetch_add(&w->failed_writes, 1);
        if (!is_of_the_home(r))
            world_wrong(w, "a change fails in another way than EIO", offset, r);
        size = before < after ? size_now(w, file) : before;
        if (before < after && (size < before || size > after))
            world_wrong(w, "a change that failed leaves a size that never was", size, r);
    }
    uint64_t stop = end < size ? end : size;
    if (offset < stop)
        model_file_put(w->models[file], offset, data, stop - offset, r < 0);
    if (size != before)
        model_file_set_size(w->models[file], size);
}

static void do_write(struct worker *k, unsigned file, uint64_t offset, uint64_t size)
{
    struct world *w = k->world;
    uint64_t word = test_random(&k->random);
    for (uint64_t i = 0; i < size; i++)
        k->data[i] = (uint8_t)(word >> (i % 8 * 8)) ^ (uint8_t)(i >> 8);
    struct model_claim claim;
    uint64_t before = model_file_claim(w->models[file], offset, size, true, &claim);
    uint64_t end = offset + size;
    ssize_t n = parcel_write(w->parcel, w->ids[file], k->data, size, offset);
    note_change(w, file, offset, k->data, end, n < 0 ? (int)n : 0, before,
                end > before ? end : before);
    model_file_release(w->models[file], &claim);
}

static void do_zero(struct worker *k, unsigned file, uint64_t offset, uint64_t size, bool keep_size)
{
    struct world *w = k->world;
    struct model_claim claim;
    uint64_t before = model_file_claim(w->models[file], offset, size, !keep_size, &claim);
    uint64_t end = offset + size;
    int r = parcel_zero(w->parcel, w->ids[file], offset, size, keep_size);
    note_change(w, file, offset, NULL, end, r, before, !keep_size && end > before ? end : before);
    model_file_release(w->models[file], &claim);
}

static void do_truncate(struct worker *k, unsigned file, uint64_t size)
{
    struct world *w = k->world;
    struct model_claim claim;
    uint64_t before = model_file_claim_size(w->models[file], size, &claim);
    int r = parcel_truncate(w->parcel, w->ids[file], size);
    if (r < 0 && size < before)
        note_change(w, file, size, NULL, before, r, before, before);
    else
        note_change(w, file, size, NULL, size, r, before, size);
    model_file_release(w->models[file], &claim);
}

static void do_read(struct worker *k, unsigned file, uint64_t offset, uint64_t size)
{
    struct world *w = k->world;
    struct model_claim claim;
    uint64_t file_size = model_file_claim(w->models[file], offset, size, false, &claim);
    check_read(w, file, offset, k->data, size, file_size);
    model_file_release(w->models[file], &claim);
}

static void step(struct worker *k)
{
    static const unsigned limits[] = {512, 3 * 4096, CHUNK, PIECE_MAX};
    struct world *w = k->world;
    unsigned file = (unsigned)test_random_below(&k->random, FILES),
             what = (unsigned)test_random_below(&k->random, 100);
    uint64_t offset = test_random_below(&k->random, FILE_MAX - PIECE_MAX);
    uint64_t size = 1 + test_random_below(&k->random, limits[test_random_below(&k->random, 4)]);
    if (test_random_below(&k->random, 3) == 0) {
        offset -= offset % 4096;
        size = (size + 4095) / 4096 * 4096;
    }
    if (what < 45)
        do_read(k, file, offset, size);
    else if (what < 80)
        do_write(k, file, offset, size);
    else if (what < 88)
        do_zero(k, file, offset, size, what % 2);
    else if (what < 90)
        do_truncate(k, file, test_random_below(&k->random, FILE_MAX));
    else if (what < 99)
        world_keep(w);
    else
        world_commit(w);
}

static void *work(void *arg)
{
    struct worker *k = arg;
    for (unsigned i = 0; i < OPS && !atomic_load(&k->world->wrong); i++)
        step(k);
    return NULL;
}

struct namer {
    struct world *world;
    struct model_names *names;
    pthread_t thread;
    uint64_t random;
};

static void *make_and_remove(void *arg)
{
    struct namer *n = arg;
    for (unsigned i = 0; i < NAME_OPS && !atomic_load(&n->world->wrong); i++)
        model_names_step(n->world, n->names, &n->random);
    return NULL;
}

static void run_threads(struct world *w, struct model_names *names)
{
    struct worker workers[THREADS] = {0};
    struct namer namer = {.world = w, .names = names, .random = test_random(&w->seed)};
    assert_int_equal(pthread_create(&namer.thread, NULL, make_and_remove, &namer), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] =
            (struct worker){.world = w, .random = test_random(&w->seed), .data = malloc(PIECE_MAX)};
        assert_non_null(workers[i].data);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        free(workers[i].data);
    }
    pthread_join(namer.thread, NULL);
    assert_false(w->wrong);
}

/* Reads everything; with the home well, all of it must come. */
static void read_all(struct world *w, struct model_names *names)
{
    struct worker k = {.world = w, .data = malloc(PIECE_MAX)};
    assert_non_null(k.data);
    for (unsigned file = 0; file < FILES; file++)
        for (uint64_t at = 0; at < FILE_MAX; at += CHUNK)
            do_read(&k, file, at, CHUNK);
    free(k.data);
    model_names_check(w, names);
    assert_false(w->wrong);
}

static void read_all_well(struct world *w, struct model_names *names)
{
    world_calm(w);
    unsigned failed = w->failed_reads;
    read_all(w, names);
    assert_int_equal(w->failed_reads, failed);
}

/* --- the test --- */

static void make_files(struct world *w)
{
    for (unsigned i = 0; i < FILES; i++) {
        char name[16];
        struct parcel_attr attr;
        snprintf(name, sizeof name, "file%u", i);
        assert_int_equal(parcel_create(w->parcel, CATALOG_ROOT, name, 0600, &attr), 0);
        parcel_forget(w->parcel, attr.file_id, 1);
        w->ids[i] = attr.file_id;
    }
    struct worker k = {.world = w, .random = test_random(&w->seed), .data = malloc(PIECE_MAX)};
    assert_non_null(k.data);
    for (unsigned i = 0; i < FILES; i++)
        for (uint64_t at = 0; at < FILE_MAX; at += CHUNK)
            do_write(&k, i, at, CHUNK);
    free(k.data);
}

static void a_home_that_fails_never_gives_wrong_bytes(void **state)
{
    struct world *w = *state;
    world_begin(w);
    make_files(w);
    struct model_names names = {0};
    model_names_begin(w, &names);
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (round % 2 == 0)
            world_check_in(w);
        else
            world_crash(w);
        world_begin(w);
        read_all(w, &names);
        run_threads(w, &names);
    }
    print_message("%u reads, %u failed; %u changes failed; %u commits, %u failed; %" PRIu64
                  " failures of the home\n",
                  w->reads, w->failed_reads, w->failed_writes, w->commits, w->failed_commits,
                  world_failures(w));
    assert_true(w->reads > 1000 && w->failed_reads > 100 && w->failed_writes > 10);
    assert_true(w->failed_commits > 0 && w->commits > 2 && world_errors_logged > 0);
    read_all_well(w, &names);
    world_check_in(w);
    world_begin(w);
    read_all_well(w, &names);
    world_end(w);
}

int main(void)
{
    alarm(SECONDS_MAX); /* threads that wait for each other for ever */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_home_that_fails_never_gives_wrong_bytes, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
