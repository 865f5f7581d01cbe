/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The memory of a running machine: only a moment at which nothing runs keeps it, and then whole. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/random.h"
#include "tests/unit/parcel_fixture.h"

enum { CHUNKS = 24, SIZE = CHUNKS * CHUNK }; /* three times what memory may hold */

static void an_fsync_of_the_disk_does_not_log_the_memory(void **state)
{
    struct fixture *f = *state;
    uint64_t memory = fixture_make(f, "mem.img"), disk = fixture_make(f, "disk.img");
    assert_true(parcel_is_volatile(f->parcel, memory));
    assert_false(parcel_is_volatile(f->parcel, disk));
    fixture_keep(f);
    uint64_t before = site_log_bytes(f->log);
    for (int i = 0; i < CHUNKS; i++)
        fixture_put(f, memory, 7 + i, CHUNK, (uint64_t)i * CHUNK);
    fixture_put(f, disk, 1, 4096, 0);
    fixture_keep(f);
    assert_true(site_log_bytes(f->log) - before < 6000);
    assert_int_equal(fixture_byte_at(f, memory, 20 * CHUNK), 27);
    fixture_check_bound(f);
}

static void a_crash_returns_the_memory_to_the_last_moment_at_which_nothing_ran(void **state)
{
    struct fixture *f = *state;
    uint64_t memory = fixture_make(f, "mem.img"), disk = fixture_make(f, "disk.img");
    fixture_put(f, memory, 1, 3 * CHUNK, 0);
    fixture_put(f, disk, 1, CHUNK, 0);
    fixture_commit_stopped(f);
    for (int how = 0; how < 3; how++) {
        fixture_put(f, memory, 2, 4096, CHUNK + 8192);
        fixture_put(f, memory, 2, CHUNK, 4 * CHUNK);
        assert_int_equal(parcel_zero(f->parcel, memory, 0, CHUNK, true), 0);
        fixture_put(f, disk, 3 + how, 4096, 4096);
        if (how == 0)
            fixture_keep(f);
        else
            fixture_commit(f); /* of the disk */
        assert_int_equal(fixture_byte_at(f, memory, CHUNK + 8192), 2);
        assert_int_equal(fixture_byte_at(f, memory, 0), 0);
        fixture_reopen(f);
        assert_int_equal(fixture_byte_at(f, disk, 4096), 3 + how);
        assert_int_equal(fixture_size_of(f, memory), 3 * CHUNK);
        for (unsigned i = 0; i < 3 * CHUNK; i += 4096)
            assert_int_equal(fixture_byte_at(f, memory, i), 1);
    }
}

static void what_a_stop_keeps_is_whole_and_more_than_memory_holds(void **state)
{
    struct fixture *f = *state;
    uint64_t memory = fixture_make(f, "ram.vmem"), disk = fixture_make(f, "disk.img");
    fixture_put(f, memory, 1, SIZE, 0);
    fixture_commit_stopped(f);
    for (int i = 0; i < CHUNKS; i++) {
        fixture_put(f, memory, 2, 4096, (uint64_t)i * CHUNK + 4096);
        fixture_put(f, memory, 3, 4096,
                    (uint64_t)i * CHUNK + 4096); /* over itself, spilled or not */
    }
    assert_int_equal(parcel_zero(f->parcel, memory, 5 * CHUNK, 2 * CHUNK, true), 0);
    fixture_stop(f); /* in the journal only */
    fixture_put(f, memory, 9, CHUNK, 0);
    fixture_put(f, disk, 9, CHUNK, 0);
    fixture_keep(f);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fixture_byte_at(f, disk, 0), 9);
        fixture_reopen(f);
        assert_int_equal(fixture_size_of(f, memory), SIZE);
        for (unsigned k = 0; k < CHUNKS; k++) {
            bool hole = k == 5 || k == 6;
            assert_int_equal(fixture_byte_at(f, memory, k * CHUNK), hole ? 0 : 1);
            assert_int_equal(fixture_byte_at(f, memory, k * CHUNK + 4096), hole ? 0 : 3);
        }
        if (i == 0)
            fixture_tidy(f);
        else
            fixture_commit(f);
        fixture_put(f, memory, 8, SIZE, 0); /* never kept */
    }
}

static void memory_that_cannot_be_completed_is_kept_too(void **state)
{
    struct fixture *f = *state;
    uint64_t memory = fixture_make(f, "mem.img");
    fixture_put(f, memory, 1, 4 * CHUNK, 0);
    fixture_commit_stopped(f);
    fixture_send_home(f);
    f->far.away = true;
    fixture_put(f, memory, 2, 4096, 4096);
    fixture_put(f, memory, 3, CHUNK, 2 * CHUNK);
    fixture_stop(f);
    fixture_put(f, memory, 4, 4096, 4096);
    fixture_reopen(f);
    assert_int_equal(fixture_byte_at(f, memory, 0), 1);
    assert_int_equal(fixture_byte_at(f, memory, 4096), 2);
    assert_int_equal(fixture_byte_at(f, memory, 2 * CHUNK), 3);
    assert_int_equal(fixture_byte_at(f, memory, 3 * CHUNK), 1);
}

/* What is encoded, kept or committed after a stop, by whoever does it, is the moment of that stop,
 * until something is changed. */
static void a_moment_lasts_until_something_is_changed(void **state)
{
    struct fixture *f = *state;
    uint64_t memory = fixture_make(f, "mem.img"), disk = fixture_make(f, "disk.img");
    fixture_put(f, memory, 1, 2 * CHUNK, 0);
    fixture_put(f, disk, 1, 2 * CHUNK, 0);
    fixture_send_home(f);
    for (int how = 0; how < 4; how++) {
        f->far.away = true;
        fixture_put(f, memory, 2 + how, CHUNK, 0);
        fixture_put(f, disk, 2 + how, 4096, 4096);
        fixture_keep(f);
        assert_false(parcel_is_consistent(f->parcel));
        fixture_stop(f);
        if (how == 1)
            assert_true(fixture_tidy(f));
        assert_int_equal(parcel_settle(f->parcel, true), -EHOSTDOWN);
        fixture_keep(f);
        if (how == 2)
            fixture_reopen(f);
        fixture_keep(f);
        f->far.away = false;
        if (how == 3)
            fixture_commit(f);
        fixture_reopen(f);
        assert_true(parcel_is_consistent(f->parcel));
        assert_int_equal(fixture_byte_at(f, memory, 0), 2 + how);
    }
    fixture_put(f, memory, 9, CHUNK, 0);
    fixture_keep(f);
    assert_false(parcel_is_consistent(f->parcel));
    fixture_stop(f);
    fixture_put(f, disk, 9, CHUNK, CHUNK);
    fixture_commit(f);
    fixture_reopen(f);
    assert_false(parcel_is_consistent(f->parcel));
    assert_int_equal(fixture_byte_at(f, memory, 0), 9);
}

static void a_name_makes_it_and_no_other_name_unmakes_it(void **state)
{
    struct fixture *f = *state;
    uint64_t memory = fixture_make(f, "mem.img"), plain = fixture_make(f, "plain");
    fixture_commit_stopped(f);
    assert_int_equal(parcel_rename(f->parcel, CATALOG_ROOT, "mem.img", CATALOG_ROOT, "x", false),
                     0);
    assert_int_equal(
        parcel_rename(f->parcel, CATALOG_ROOT, "plain", CATALOG_ROOT, "mem.img", false), 0);
    fixture_make(f, "a.vmem");
    fixture_keep(f);
    for (int i = 0; i < 2; i++) {
        struct parcel_attr attr;
        fixture_reopen(f);
        assert_true(parcel_is_volatile(f->parcel, memory));
        assert_false(parcel_is_volatile(f->parcel, plain));
        assert_int_equal(parcel_find(f->parcel, "a.vmem", &attr), 0);
        assert_true(parcel_is_volatile(f->parcel, attr.file_id));
        fixture_commit(f);
    }
}

/* Against a copy in memory, and one of what was kept last. */
static void whatever_is_done_to_it_reads_back(void **state)
{
    struct fixture *f = *state;
    uint64_t memory = fixture_make(f, "mem.img");
    uint8_t *now = calloc(1, SIZE), *kept = calloc(1, SIZE), *read = malloc(SIZE);
    print_message("seed %llu\n", (unsigned long long)f->random);
    assert_int_equal(parcel_truncate(f->parcel, memory, SIZE), 0);
    fixture_stop(f);
    for (int i = 0; i < 1500; i++) {
        uint64_t at = test_random(&f->random) % (SIZE / 4096) * 4096,
                 what = test_random(&f->random) % 100;
        size_t size = (size_t)(1 + test_random(&f->random) % 40) * 4096;
        if (at + size > SIZE)
            size = SIZE - at;
        if (what < 70) {
            fixture_put(f, memory, i % 251, size, at);
            memset(now + at, i % 251, size);
        } else if (what < 80) {
            assert_int_equal(parcel_zero(f->parcel, memory, at, size, true), 0);
            memset(now + at, 0, size);
        } else if (what < 83) {
            assert_int_equal(parcel_truncate(f->parcel, memory, at), 0);
            assert_int_equal(parcel_truncate(f->parcel, memory, SIZE), 0);
            memset(now + at, 0, SIZE - at);
        } else if (what < 96) {
            assert_int_equal(parcel_read(f->parcel, memory, read, size, at), size);
            assert_memory_equal(read, now + at, size);
        } else if (what < 97) {
            if (i % 2)
                fixture_stop(f);
            else
                fixture_commit_stopped(f);
            memcpy(kept, now, SIZE);
        } else if (what < 99) {
            fixture_commit(f);
        } else {
            fixture_reopen(f);
            memcpy(now, kept, SIZE);
        }
    }
    assert_int_equal(parcel_read(f->parcel, memory, read, SIZE, 0), SIZE);
    assert_memory_equal(read, now, SIZE);
    fixture_reopen(f);
    assert_int_equal(parcel_read(f->parcel, memory, read, SIZE, 0), SIZE);
    assert_memory_equal(read, kept, SIZE);
    free(now);
    free(kept);
    free(read);
}

static void *come_back(void *arg)
{
    struct fixture *f = arg;
    fixture_await_waiter(f); /* who has asked in vain */
    f->far.away = false;
    return NULL;
}

static void it_waits_for_a_home_that_is_away(void **state)
{
    struct fixture *f = *state;
    uint64_t memory = fixture_make(f, "mem.img"), disk = fixture_make(f, "disk.img");
    fixture_put(f, memory, 1, CHUNK, 0);
    fixture_put(f, disk, 1, CHUNK, 0);
    fixture_commit_stopped(f);
    f->watched = true;
    fixture_send_home(f);
    f->far.away = true;
    uint8_t byte;
    assert_int_equal(parcel_read(f->parcel, disk, &byte, 1, 0), -EHOSTDOWN);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, come_back, f), 0);
    assert_int_equal(parcel_read(f->parcel, memory, &byte, 1, 0), 1);
    assert_int_equal(byte, 1);
    pthread_join(thread, NULL);
    fixture_reopen(f);
    f->far.away = true; /* a part of a block needs the rest of it */
    assert_int_equal(parcel_write(f->parcel, disk, "x", 1, 5), -EHOSTDOWN);
    assert_int_equal(pthread_create(&thread, NULL, come_back, f), 0);
    assert_int_equal(parcel_write(f->parcel, memory, "x", 1, 5), 1);
    pthread_join(thread, NULL);
    assert_int_equal(fixture_byte_at(f, memory, 5), 'x');
    fixture_reopen(f);
    f->far.away = true;
    home_watch_cancel(f->watch);
    assert_int_equal(parcel_read(f->parcel, memory, &byte, 1, 0), -EHOSTDOWN);
}

/* The spill file's descriptor: it has no name. */
static int spill_fd(void)
{
    for (int fd = 3; fd < 100; fd++) {
        char link[32], name[256] = "";
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (readlink(link, name, sizeof name - 1) > 0 && strstr(name, "/.spill-"))
            return fd;
    }
    return -1;
}

static void its_spill_file_shows_nothing_and_takes_no_change(void **state)
{
    struct fixture *f = *state;
    uint64_t memory = fixture_make(f, "mem.img");
    assert_int_equal(parcel_truncate(f->parcel, memory, SIZE), 0);
    assert_int_equal(parcel_open_for_writing(f->parcel, memory), 0);
    int fd = spill_fd();
    assert_true(fd >= 0);
    struct stat st;
    fstat(fd, &st);
    assert_true((uint64_t)st.st_blocks * 512 >= SIZE); /* reserved */
    static const char marker[] = "PLAINTEXT-MARKER";
    for (uint64_t at = 0; at < SIZE; at += 4096)
        assert_int_equal(parcel_write(f->parcel, memory, marker, sizeof marker, at), sizeof marker);
    uint8_t *all = malloc((size_t)st.st_size);
    assert_int_equal(pread(fd, all, (size_t)st.st_size, 0), st.st_size);
    assert_null(memmem(all, (size_t)st.st_size, marker, sizeof marker - 1));
    size_t used = 0;
    for (size_t i = 0; i < (size_t)st.st_size; i++)
        used += all[i] != 0;
    assert_true(used > SIZE / 4); /* it is used */
    memset(all, 0, (size_t)st.st_size);
    assert_int_equal(pwrite(fd, all, (size_t)st.st_size, 0), st.st_size);
    uint8_t byte;
    unsigned bad = 0;
    for (uint64_t at = 0; at < SIZE; at += CHUNK)
        bad += parcel_read(f->parcel, memory, &byte, 1, at) == -EIO;
    assert_true(bad > 0);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(an_fsync_of_the_disk_does_not_log_the_memory),
        TEST(a_crash_returns_the_memory_to_the_last_moment_at_which_nothing_ran),
        TEST(what_a_stop_keeps_is_whole_and_more_than_memory_holds),
        TEST(memory_that_cannot_be_completed_is_kept_too),
        TEST(a_moment_lasts_until_something_is_changed),
        TEST(a_name_makes_it_and_no_other_name_unmakes_it),
        TEST(whatever_is_done_to_it_reads_back),
        TEST(it_waits_for_a_home_that_is_away),
        TEST(its_spill_file_shows_nothing_and_takes_no_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
