/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The site log: what was flushed is there after the process has gone, and damage is never taken for
 * the torn end of a crash. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "isrfs/base/io.h"
#include "isrfs/base/secret.h"
#include "isrfs/parcel/segment.h"
#include "tests/unit/seeded_log.h"

static void flip(struct seeded_log *f, const char *name, off_t offset)
{
    char path[128];
    snprintf(path, sizeof path, "%s/log/%s", f->path, name);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

static void objects_and_the_newest_root_are_there_when_it_is_opened_again(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    struct object_ref refs[50];
    for (unsigned i = 0; i < 50; i++)
        refs[i] = seeded_log_put(f, log, i, 16384);
    seeded_log_put_root(log, 1);
    seeded_log_put_root(log, 2);
    site_log_close(log);

    struct site_log_found found;
    log = seeded_log_open(f, &found);
    assert_int_equal(found.objects, 50);
    assert_int_equal(seeded_log_newest(log), 2);
    for (unsigned i = 0; i < 50; i++)
        assert_true(seeded_log_has(log, &refs[i]));
    site_log_close(log);
}

static void an_object_is_kept_once(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    seeded_log_put(f, log, 1, 16384);
    uint64_t before, after, objects;
    site_log_usage(log, &before, &objects);
    seeded_log_put(f, log, 1, 16384);
    site_log_usage(log, &after, &objects);
    assert_int_equal(before, after);
    assert_int_equal(objects, 1);
    site_log_close(log);
}

static void a_log_larger_than_a_segment_is_read_back_whole(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    enum { COUNT_OF = 24 };
    struct object_ref refs[COUNT_OF];
    for (unsigned i = 0; i < COUNT_OF; i++)
        refs[i] = seeded_log_put(f, log, i, 4u << 20);
    seeded_log_put_root(log, 3);
    site_log_close(log);
    struct site_log_found found;
    log = seeded_log_open(f, &found);
    assert_true(found.segments > 1);
    for (unsigned i = 0; i < COUNT_OF; i++)
        assert_true(seeded_log_has(log, &refs[i]));
    site_log_close(log);
}

static void each_opening_writes_to_a_segment_of_its_own(void **state)
{
    struct seeded_log *f = *state;
    for (uint64_t i = 1; i <= 4; i++) {
        struct site_log_found found;
        struct site_log *log = seeded_log_open(f, &found);
        assert_int_equal(found.segments, i - 1);
        seeded_log_put_root(log, i);
        site_log_close(log);
    }
    struct site_log *log = seeded_log_open(f, NULL);
    assert_int_equal(seeded_log_newest(log), 4);
    site_log_close(log);
}

static void the_torn_end_of_a_crash_is_left_out(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    seeded_log_put_root(log, 1);
    uint64_t bytes, objects;
    site_log_usage(log, &bytes, &objects);
    seeded_log_put_root(log, 2);
    site_log_close(log);
    flip(f, "0000000000000001", (off_t)bytes + 40); /* in the last record */

    struct site_log_found found;
    log = seeded_log_open(f, &found);
    assert_int_equal(seeded_log_newest(log), 1);
    assert_true(found.torn_bytes > 0);
    site_log_close(log);
}

static void damage_to_what_was_flushed_is_refused(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    seeded_log_put_root(log, 1); /* the second root's record says that this one was flushed */
    seeded_log_put_root(log, 2);
    seeded_log_put_root(log, 3);
    site_log_close(log);
    /* the first record stays good, so that it is no wrong key; the second is damaged, and... */
    flip(f, "0000000000000001",
         SEGMENT_HEADER_SIZE + (off_t)segment_record_size(16 + 192 + 1) + 40);
    /* ...the third still says that it was on disk */
    assert_int_equal(seeded_log_try_open(f, &log, NULL), -EBADMSG);
}

static void a_missing_segment_is_refused(void **state)
{
    struct seeded_log *f = *state;
    for (uint64_t i = 1; i <= 3; i++) {
        struct site_log *log = seeded_log_open(f, NULL);
        seeded_log_put_root(log, i);
        site_log_close(log);
    }
    char path[128];
    snprintf(path, sizeof path, "%s/log/0000000000000002", f->path);
    assert_int_equal(unlink(path), 0);
    struct site_log *log = NULL;
    assert_int_equal(seeded_log_try_open(f, &log, NULL), -EBADMSG);
}

static void another_session_key_opens_nothing(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    seeded_log_put_root(log, 1);
    site_log_close(log);
    f->session[0] ^= 1;
    assert_int_equal(seeded_log_try_open(f, &log, NULL), -EBADMSG);
    f->session[0] ^= 1;
    log = seeded_log_open(f, NULL);
    assert_int_equal(seeded_log_newest(log), 1);
    site_log_close(log);
}

static void a_segment_whose_making_was_cut_short_is_no_damage(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    seeded_log_put_root(log, 1);
    site_log_close(log);
    char path[128];
    snprintf(path, sizeof path, "%s/log/0000000000000002", f->path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    log = seeded_log_open(f, NULL);
    assert_int_equal(seeded_log_newest(log), 1);
    seeded_log_put_root(log, 2);
    site_log_close(log);
    log = seeded_log_open(f, NULL);
    assert_int_equal(seeded_log_newest(log), 2);
    site_log_close(log);
}

/* Its header may be in the kernel's memory only. */
static void a_segment_without_records_is_made_anew(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    seeded_log_put_root(log, 1);
    uint64_t boundary;
    assert_int_equal(site_log_cut(log, &boundary), 0);
    site_log_close(log);
    struct site_log_found found;
    log = seeded_log_open(f, &found);
    assert_int_equal(found.segments, 1);
    seeded_log_put_root(log, 2);
    site_log_close(log);
    log = seeded_log_open(f, &found);
    assert_int_equal(found.segments, 2);
    assert_int_equal(seeded_log_newest(log), 2);
    site_log_close(log);
}

static void restarting_leaves_the_root_alone(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    struct object_ref ref = seeded_log_put(f, log, 5, 65536);
    seeded_log_put_root(log, 1);
    struct site_root root = {.base_version = 8};
    assert_int_equal(site_log_restart(log, &root), 0);
    assert_false(seeded_log_has(log, &ref));
    struct object_ref later = seeded_log_put(f, log, 6, 65536);
    seeded_log_put_root(log, 9);
    site_log_close(log);
    struct site_log_found found;
    log = seeded_log_open(f, &found);
    assert_int_equal(found.segments, 1);
    assert_int_equal(seeded_log_newest(log), 9);
    assert_true(seeded_log_has(log, &later));
    site_log_close(log);
}

static void what_lies_before_a_cut_is_dropped_and_not_missed(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    struct object_ref old = seeded_log_put(f, log, 5, 65536),
                      again = seeded_log_put(f, log, 6, 65536);
    seeded_log_put_root(log, 1);
    uint64_t boundary;
    assert_int_equal(site_log_cut(log, &boundary), 0);
    seeded_log_put(f, log, 6, 65536); /* lies before the cut: it is put once more */
    seeded_log_put_root(log, 2);
    assert_true(seeded_log_has(log, &old));
    assert_int_equal(site_log_drop(log, boundary), 0);
    assert_false(seeded_log_has(log, &old));
    assert_true(seeded_log_has(log, &again));
    seeded_log_put_root(log, 3);
    site_log_close(log);
    struct site_log_found found;
    log = seeded_log_open(f, &found);
    assert_int_equal(found.segments, 1);
    assert_int_equal(seeded_log_newest(log), 3);
    assert_true(seeded_log_has(log, &again));
    seeded_log_put_root(log, 4);
    site_log_close(log);
    char name[64];
    snprintf(name, sizeof name, "log/%016llx", (unsigned long long)boundary);
    assert_int_equal(unlinkat(f->dirfd, name, 0), 0);
    assert_int_equal(seeded_log_try_open(f, &log, NULL), -EBADMSG);
}

static int take_operations(void *ctx, const void *data, size_t size)
{
    return buffer_append(ctx, data, size);
}

static int take_no_blocks(void *ctx, const struct log_blocks *blocks, const struct log_at *at)
{
    (void)ctx, (void)blocks, (void)at;
    return -EINVAL;
}

/* A check-in puts roots beside a guest whose batch is being written. */
static void a_root_amid_a_batch_does_not_cut_it_off(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    seeded_log_put_root(log, 1);
    uint64_t batch = site_log_begin_batch(log);
    assert_int_equal(site_log_put_operations(log, batch, false, "ab", 2), 0);
    seeded_log_put_root(log, 1);
    assert_int_equal(site_log_put_operations(log, batch, true, "cd", 2), 0);
    assert_int_equal(site_log_flush(log), 0);
    site_log_close(log);
    struct site_log_found found;
    log = seeded_log_open(f, &found);
    assert_int_equal(found.batches, 1);
    struct buffer all = {0};
    struct log_replayer replayer = {
        .operations = take_operations, .blocks = take_no_blocks, .ctx = &all};
    assert_int_equal(site_log_replay(log, &replayer), 0);
    assert_int_equal(all.size, 4);
    assert_memory_equal(all.data, "abcd", 4);
    buffer_free(&all);
    site_log_close(log);
}

static void nothing_in_it_is_in_the_clear(void **state)
{
    struct seeded_log *f = *state;
    struct site_log *log = seeded_log_open(f, NULL);
    struct site_root root = {.base_version = 1};
    memset(&root.current.key, 'K', sizeof root.current.key);
    assert_int_equal(site_log_put_root(log, &root), 0);
    assert_int_equal(site_log_flush(log), 0);
    site_log_close(log);
    struct buffer all = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/log/0000000000000001", f->path);
    assert_int_equal(io_read_file(AT_FDCWD, path, SEGMENT_SIZE, &all), 0);
    assert_null(memmem(all.data, all.size, "KKKKKKKK", 8));
    buffer_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, seeded_log_setup, seeded_log_teardown)
        TEST(objects_and_the_newest_root_are_there_when_it_is_opened_again),
        TEST(an_object_is_kept_once),
        TEST(a_log_larger_than_a_segment_is_read_back_whole),
        TEST(each_opening_writes_to_a_segment_of_its_own),
        TEST(the_torn_end_of_a_crash_is_left_out),
        TEST(damage_to_what_was_flushed_is_refused),
        TEST(a_missing_segment_is_refused),
        TEST(another_session_key_opens_nothing),
        TEST(a_segment_whose_making_was_cut_short_is_no_damage),
        TEST(a_segment_without_records_is_made_anew),
        TEST(restarting_leaves_the_root_alone),
        TEST(what_lies_before_a_cut_is_dropped_and_not_missed),
        TEST(a_root_amid_a_batch_does_not_cut_it_off),
        TEST(nothing_in_it_is_in_the_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
