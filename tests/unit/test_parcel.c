/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An open parcel against a shadow copy in memory: seeded random writes, reads, truncations,
 * zeroing, commits and reopenings; and the names. The log is a real one on disk, which is also the
 * only store. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/random.h"
#include "tests/unit/parcel_fixture.h"

#define SHADOW_MAX (20 * CHUNK)

struct shadow {
    uint8_t *data;
    uint64_t size;
};

static void check_equal(struct fixture *f, uint64_t id, const struct shadow *s)
{
    assert_int_equal(fixture_size_of(f, id), s->size);
    uint8_t *data = malloc(SHADOW_MAX + 1);
    assert_int_equal(parcel_read(f->parcel, id, data, SHADOW_MAX + 1, 0), s->size);
    assert_memory_equal(data, s->data, s->size);
    free(data);
}

static void random_range(struct fixture *f, uint64_t *offset, uint64_t *size)
{
    static const uint64_t sizes[] = {1, 511, 4096, 5000, CHUNK, 3 * CHUNK + 7};
    *size = 1 + test_random_below(&f->random, sizes[test_random_below(&f->random, 6)]);
    *offset = test_random_below(&f->random, SHADOW_MAX - *size);
    if (test_random_below(&f->random, 2))
        *offset = *offset / 4096 * 4096;
}

static void step_write(struct fixture *f, uint64_t id, struct shadow *s)
{
    uint64_t offset, size;
    random_range(f, &offset, &size);
    if (offset > s->size)
        memset(s->data + s->size, 0, offset - s->size);
    uint64_t seed = test_random(&f->random);
    for (uint64_t i = 0; i < size; i++)
        s->data[offset + i] = (uint8_t)(seed >> (i % 56));
    assert_int_equal(parcel_write(f->parcel, id, s->data + offset, size, offset), size);
    if (offset + size > s->size)
        s->size = offset + size;
}

static void step_zero(struct fixture *f, uint64_t id, struct shadow *s)
{
    uint64_t offset, size;
    random_range(f, &offset, &size);
    bool keep = test_random_below(&f->random, 2);
    assert_int_equal(parcel_zero(f->parcel, id, offset, size, keep), 0);
    uint64_t end = offset + size;
    if (!keep && end > s->size) {
        memset(s->data + s->size, 0, end - s->size);
        s->size = end;
    }
    if (offset < s->size)
        memset(s->data + offset, 0, (end < s->size ? end : s->size) - offset);
}

static void step_truncate(struct fixture *f, uint64_t id, struct shadow *s)
{
    uint64_t size = test_random_below(&f->random, SHADOW_MAX);
    assert_int_equal(parcel_truncate(f->parcel, id, size), 0);
    if (size > s->size)
        memset(s->data + s->size, 0, size - s->size);
    s->size = size;
}

static void step_seek(struct fixture *f, uint64_t id, const struct shadow *s)
{
    if (s->size == 0)
        return;
    uint64_t from = test_random_below(&f->random, s->size), hole, data;
    assert_int_equal(parcel_seek(f->parcel, id, from, false, &hole), 0);
    assert_true(hole >= from && hole <= s->size);
    int r = parcel_seek(f->parcel, id, from, true, &data);
    assert_true(r == 0 || r == -ENXIO);
    /* what is skipped as a hole must be zeros */
    uint64_t end = r == 0 ? data : s->size;
    for (uint64_t i = from; i < end; i++)
        assert_int_equal(s->data[i], 0);
}

static void files_read_as_they_were_written(void **state)
{
    struct fixture *f = *state;
    print_message("seed %llu\n", (unsigned long long)f->random);
    uint64_t ids[2] = {fixture_make(f, "disk.img"), fixture_make(f, "other")};
    struct shadow shadows[2] = {{calloc(1, SHADOW_MAX), 0}, {calloc(1, SHADOW_MAX), 0}};
    for (int i = 0; i < 3000; i++) {
        size_t which = test_random_below(&f->random, 2);
        struct shadow *s = &shadows[which];
        uint64_t dice = test_random_below(&f->random, 100);
        if (dice < 60)
            step_write(f, ids[which], s);
        else if (dice < 72)
            step_zero(f, ids[which], s);
        else if (dice < 78)
            step_truncate(f, ids[which], s);
        else if (dice < 90)
            step_seek(f, ids[which], s);
        else if (dice < 94)
            check_equal(f, ids[which], s);
        else if (dice < 98)
            fixture_keep(f);
        else
            fixture_commit(f);
        if (i % 100 == 99) {
            if (test_random_below(&f->random, 3) == 0)
                fixture_commit(f);
            else
                fixture_keep(f);
            fixture_reopen(f);
            check_equal(f, ids[0], &shadows[0]);
            check_equal(f, ids[1], &shadows[1]);
        }
    }
    free(shadows[0].data);
    free(shadows[1].data);
}

static void growing_after_shrinking_shows_zeros(void **state)
{
    struct fixture *f = *state;
    uint64_t id = fixture_make(f, "disk.img");
    uint8_t *data = malloc(4 * CHUNK), *zeros = calloc(1, 4 * CHUNK);
    fixture_put(f, id, 0xee, 4 * CHUNK, 0);
    fixture_commit(f);
    fixture_reopen(f);
    assert_int_equal(parcel_truncate(f->parcel, id, CHUNK + 100), 0);
    assert_int_equal(parcel_truncate(f->parcel, id, 4 * CHUNK), 0);
    fixture_commit(f);
    fixture_reopen(f);
    assert_int_equal(parcel_read(f->parcel, id, data, 4 * CHUNK, 0), 4 * CHUNK);
    assert_memory_equal(data + CHUNK + 100, zeros, 3 * CHUNK - 100);
    assert_int_equal(data[CHUNK + 99], 0xee);
    free(data);
    free(zeros);
}

static void holes_cost_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t id = fixture_make(f, "disk.img");
    assert_int_equal(parcel_truncate(f->parcel, id, UINT64_C(1) << 50), 0);
    assert_int_equal(parcel_write(f->parcel, id, "x", 1, UINT64_C(1) << 49), 1);
    fixture_commit(f);
    assert_int_equal(parcel_zero(f->parcel, id, 4096, UINT64_C(1) << 48, true), 0);
    fixture_commit(f);
    uint64_t bytes, objects;
    site_log_usage(f->log, &bytes, &objects);
    assert_true(objects < 20);
    uint64_t at;
    assert_int_equal(parcel_seek(f->parcel, id, 0, true, &at), 0);
    assert_int_equal(at, UINT64_C(1) << 49);
}

static void an_unlinked_file_lives_until_it_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct parcel_attr attr;
    assert_int_equal(parcel_create(f->parcel, CATALOG_ROOT, "a", 0600, &attr), 0);
    assert_int_equal(parcel_write(f->parcel, attr.file_id, "hello", 5, 0), 5);
    assert_int_equal(parcel_unlink(f->parcel, CATALOG_ROOT, "a"), 0);
    fixture_commit(f);
    char text[6] = "";
    assert_int_equal(parcel_read(f->parcel, attr.file_id, text, 5, 0), 5);
    assert_string_equal(text, "hello");
    parcel_forget(f->parcel, attr.file_id, 1);
    assert_int_equal(parcel_getattr(f->parcel, attr.file_id, &attr), -ENOENT);
}

static void names_follow_the_rules_of_rename(void **state)
{
    struct fixture *f = *state;
    struct parcel *p = f->parcel;
    struct parcel_attr a, b, file;
    assert_int_equal(parcel_mkdir(p, CATALOG_ROOT, "a", 0700, &a), 0);
    assert_int_equal(parcel_mkdir(p, a.file_id, "b", 0700, &b), 0);
    assert_int_equal(parcel_create(p, b.file_id, "file", 0600, &file), 0);
    assert_int_equal(parcel_rename(p, CATALOG_ROOT, "a", b.file_id, "a", false), -EINVAL);
    assert_int_equal(parcel_rename(p, b.file_id, "file", CATALOG_ROOT, "a", false), -EISDIR);
    assert_int_equal(parcel_rename(p, CATALOG_ROOT, "a", b.file_id, "file", false), -EINVAL);
    assert_int_equal(parcel_rmdir(p, a.file_id, "b"), -ENOTEMPTY);
    assert_int_equal(parcel_rename(p, b.file_id, "file", CATALOG_ROOT, "top", false), 0);
    assert_int_equal(parcel_create(p, CATALOG_ROOT, "c", 0600, &file), 0);
    assert_int_equal(parcel_rename(p, CATALOG_ROOT, "top", CATALOG_ROOT, "c", true), -EEXIST);
    assert_int_equal(parcel_rename(p, CATALOG_ROOT, "top", CATALOG_ROOT, "c", false), 0);
    assert_int_equal(parcel_rmdir(p, a.file_id, "b"), 0);
    assert_int_equal(parcel_create(p, CATALOG_ROOT, ".isrfs", 0600, &file), -EPERM);
    assert_int_equal(parcel_create(p, CATALOG_ROOT, "bad\xff", 0600, &file), -EILSEQ);
    fixture_commit(f);
    fixture_reopen(f);
    assert_int_equal(parcel_find(f->parcel, "c", &file), 0);
    assert_int_equal(parcel_find(f->parcel, "top", &file), -ENOENT);
    assert_int_equal(parcel_find(f->parcel, "a", &file), 0);
    assert_true(file.is_folder);
}

static void memory_for_changes_is_bounded(void **state)
{
    struct fixture *f = *state;
    uint64_t id = fixture_make(f, "disk.img");
    uint8_t *data = malloc(CHUNK);
    for (uint64_t i = 0; i < 200; i++) {
        fixture_put(f, id, (int)i + 1, CHUNK, i * CHUNK);
        fixture_check_bound(f);
    }
    for (uint64_t i = 0; i < 200; i++) {
        assert_int_equal(parcel_read(f->parcel, id, data, CHUNK, i * CHUNK), CHUNK);
        assert_int_equal(data[0], i + 1);
        assert_int_equal(data[CHUNK - 1], i + 1);
    }
    free(data);
}

struct worker {
    struct fixture *f;
    uint64_t id;
    unsigned number;
    pthread_t thread;
};

/* Each worker has every fourth 4 KiB block, so that all of them share all chunks. */
static void *work(void *arg)
{
    struct worker *w = arg;
    uint8_t block[4096], back[4096];
    uint64_t random = w->number + 1;
    uint8_t last[64] = {0};
    for (int i = 0; i < 2000; i++) {
        uint64_t dice = test_random(&random), slot = dice >> 58;
        uint64_t offset = (slot * 4 + w->number) * 4096;
        if (dice >> 20 & 1) {
            memset(block, (int)(dice >> 8), sizeof block);
            if (parcel_write(w->f->parcel, w->id, block, sizeof block, offset) != sizeof block)
                return "a write failed";
            last[slot] = (uint8_t)(dice >> 8);
        } else {
            ssize_t n = parcel_read(w->f->parcel, w->id, back, sizeof back, offset);
            memset(block, last[slot], sizeof block);
            if (n < 0 || memcmp(block, back, (size_t)n) != 0)
                return "a read was wrong";
        }
    }
    return NULL;
}

static void threads_that_share_chunks_see_their_own_writes(void **state)
{
    struct fixture *f = *state;
    uint64_t id = fixture_make(f, "disk.img");
    struct worker workers[4];
    for (unsigned i = 0; i < 4; i++) {
        workers[i] = (struct worker){.f = f, .id = id, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        fixture_commit(f);
        fixture_keep(f);
    }
    for (unsigned i = 0; i < 4; i++) {
        void *problem;
        pthread_join(workers[i].thread, &problem);
        assert_null(problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(files_read_as_they_were_written),
        TEST(growing_after_shrinking_shows_zeros),
        TEST(holes_cost_nothing),
        TEST(an_unlinked_file_lives_until_it_is_forgotten),
        TEST(names_follow_the_rules_of_rename),
        TEST(memory_for_changes_is_bounded),
        TEST(threads_that_share_chunks_see_their_own_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
