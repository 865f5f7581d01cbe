/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The site log on a full disk: what is set aside is enough for who makes room, again and again,
 * also after a kill. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "isrfs/base/io.h"
#include "isrfs/parcel/segment.h"
#include "tests/unit/seeded_log.h"

/* Bytes that the disk has left for new segments; what becomes free is taken by somebody else. */
static off_t disk_left = INT64_MAX;
static bool freed_is_taken;
static int full_says = -ENOSPC;

int __real_io_allocate(int fd, off_t size);
int __wrap_io_allocate(int fd, off_t size);
int __wrap_io_allocate(int fd, off_t size)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    if (disk_left < size - st.st_size)
        return full_says;
    disk_left -= size - st.st_size;
    return __real_io_allocate(fd, size);
}

static void note_freed(off_t bytes)
{
    if (disk_left != INT64_MAX && !freed_is_taken)
        disk_left += bytes;
}

int __real_io_ftruncate(int fd, off_t size);
int __wrap_io_ftruncate(int fd, off_t size);
int __wrap_io_ftruncate(int fd, off_t size)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    int r = __real_io_ftruncate(fd, size);
    if (r == 0)
        note_freed(st.st_size - size);
    return r;
}

int __real_io_unlink(int dirfd, const char *path);
int __wrap_io_unlink(int dirfd, const char *path);
int __wrap_io_unlink(int dirfd, const char *path)
{
    struct stat st;
    int r = fstatat(dirfd, path, &st, 0) < 0 ? -errno : __real_io_unlink(dirfd, path);
    if (r == 0)
        note_freed(st.st_size);
    return r;
}

static int begin_full(void **state)
{
    disk_left = INT64_MAX;
    freed_is_taken = false;
    full_says = -ENOSPC;
    return seeded_log_setup(state);
}

static int end_full(void **state)
{
    disk_left = INT64_MAX; /* removing needs no account of it */
    return seeded_log_teardown(state);
}

/* Puts objects until the disk has no space for one. */
static void fill(struct seeded_log *f, struct site_log *log, unsigned *seed)
{
    struct object_ref ref;
    int r = 0;
    for (unsigned end = *seed + 60; r == 0 && *seed < end; ++*seed)
        r = seeded_log_try_put(f, log, *seed, 4u << 20, &ref);
    assert_int_equal(r, full_says);
}

struct writer {
    struct seeded_log *f;
    struct site_log *log;
    unsigned seed;
};

static void *keep_writing(void *arg)
{
    struct writer *w = arg;
    fill(w->f, w->log, &w->seed);
    return NULL;
}

static void what_is_set_aside_is_for_who_makes_room(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    disk_left = 0;
    struct writer w = {f, log, 100};
    site_log_set_urgent(log, true);
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, keep_writing, &w), 0);
    pthread_join(other, NULL);
    uint64_t boundary;
    assert_int_equal(site_log_cut(log, &boundary), 0);
    site_log_set_urgent(log, false);
    seeded_log_put_root(log, 2);
    assert_int_equal(site_log_drop(log, boundary), 0);
    site_log_close(log);
    log = seeded_log_open(f, NULL);
    assert_int_equal(seeded_log_newest(log), 2);
    site_log_close(log);
}

static void a_log_on_a_full_disk_can_be_shortened_again_and_again(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    unsigned seed = 0;
    seeded_log_put_root(log, 1);
    disk_left = SEGMENT_SIZE;
    for (uint64_t round = 2; round < 8; round++) {
        uint64_t boundary;
        fill(f, log, &seed);
        site_log_set_urgent(log, true);
        assert_int_equal(site_log_cut(log, &boundary), 0);
        seeded_log_put_root(log, round);
        site_log_set_urgent(log, false);
        freed_is_taken = round % 2 == 0;
        assert_int_equal(site_log_drop(log, boundary), 0);
        if (freed_is_taken) /* space for a segment comes later, and none to set aside */
            disk_left = SEGMENT_SIZE;
    }
    site_log_close(log);
    log = seeded_log_open(f, NULL);
    assert_int_equal(seeded_log_newest(log), 7);
    site_log_close(log);
}

static void a_quota_that_is_used_up_is_worked_around_like_a_full_disk(void **state)
{
    full_says = -EDQUOT;
    what_is_set_aside_is_for_who_makes_room(state);
}

/* Whoever makes room has taken what was set aside, others have written behind the cut, and then the
 * process is killed: what it had not flushed has to be moved. */
static unsigned end_while_room_is_made(struct seeded_log *f, struct object_ref refs[60])
{
    struct site_log *log = seeded_log_open(f, NULL);
    unsigned seed = 0, count = 0;
    uint64_t boundary;
    seeded_log_put_root(log, 1);
    disk_left = 0;
    fill(f, log, &seed);
    site_log_set_urgent(log, true);
    assert_int_equal(site_log_cut(log, &boundary), 0);
    site_log_set_urgent(log, false);
    while (seeded_log_try_put(f, log, 1000 + count, 3u << 20, &refs[count]) == 0)
        assert_true(++count < 60);
    site_log_close(log);
    return count;
}

static void a_log_goes_on_after_who_made_room_was_killed_again_and_again(void **state)
{
    struct seeded_log *f = *state;
    struct object_ref refs[60];
    unsigned count = end_while_room_is_made(f, refs);
    assert_true(count > 0);
    struct site_log *log;
    uint64_t boundary;
    for (uint64_t round = 2; round < 12; round++) {
        log = seeded_log_open(f, NULL);
        assert_int_equal(site_log_flush(log), 0); /* moves the tail */
        seeded_log_put_root(log, round);
        if (round % 2 == 0) {
            site_log_set_urgent(log, true);
            assert_int_equal(site_log_cut(log, &boundary), 0);
            site_log_set_urgent(log, false);
        }
        site_log_close(log);
        log = seeded_log_open(f, NULL);
        for (unsigned i = 0; i < count; i++)
            assert_true(seeded_log_has(log, &refs[i]));
        assert_int_equal(seeded_log_newest(log), round);
        site_log_close(log);
    }
    /* and with room made at last, a whole segment is set aside again */
    log = seeded_log_open(f, NULL);
    struct site_root root = {.base_version = 12};
    assert_int_equal(site_log_restart(log, &root), 0);
    site_log_close(log);
    struct stat st;
    assert_int_equal(fstatat(f->dirfd, "log/spare", &st, 0), 0);
    assert_int_equal(st.st_size, SEGMENT_SIZE);
}

static void a_root_can_be_put_when_all_that_is_left_is_what_was_set_aside(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    seeded_log_put_root(log, 1);
    site_log_close(log);
    disk_left = 0;
    log = seeded_log_open(f, NULL);
    seeded_log_put_root(log, 2);
    site_log_close(log);
    log = seeded_log_open(f, NULL);
    assert_int_equal(seeded_log_newest(log), 2);
    site_log_close(log);
}

/* A repair that a kill cut short has the whole disk. */
static void what_a_repair_left_is_no_reason_to_have_no_room(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    seeded_log_put_root(log, 1);
    site_log_close(log);
    assert_int_equal(renameat(f->dirfd, "log/spare", f->dirfd, "log/0000000000000002.new"), 0);
    disk_left = 0;
    log = seeded_log_open(f, NULL);
    seeded_log_put_root(log, 2);
    site_log_close(log);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_full, end_full)
    const struct CMUnitTest tests[] = {
        TEST(what_is_set_aside_is_for_who_makes_room),
        TEST(a_log_on_a_full_disk_can_be_shortened_again_and_again),
        TEST(a_quota_that_is_used_up_is_worked_around_like_a_full_disk),
        TEST(a_log_goes_on_after_who_made_room_was_killed_again_and_again),
        TEST(a_root_can_be_put_when_all_that_is_left_is_what_was_set_aside),
        TEST(what_a_repair_left_is_no_reason_to_have_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
