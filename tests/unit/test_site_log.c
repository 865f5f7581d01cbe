/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The site log: what was flushed is there after the process has gone, and damage is never taken for
 * the torn end of a crash. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "isrfs/base/io.h"
#include "isrfs/base/secret.h"
#include "isrfs/parcel/segment.h"
#include "isrfs/parcel/site_log.h"

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

struct fixture {
    char path[64];
    int dirfd;
    struct codec *codec;
    uint8_t session[32];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->path, "/tmp/test_site_log.XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->dirfd = open(f->path, O_RDONLY | O_DIRECTORY);
    struct codec_settings settings = {.method = CODEC_STORED};
    f->codec = codec_new(&settings);
    memset(f->session, 7, sizeof f->session);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    disk_left = INT64_MAX;
    freed_is_taken = false;
    full_says = -ENOSPC;
    close(f->dirfd);
    io_remove_tree(AT_FDCWD, f->path);
    codec_free(f->codec);
    free(f);
    return 0;
}

static int try_open(struct fixture *f, struct site_log **ret, struct site_log_found *found)
{
    struct site_log_config config = {
        .dirfd = f->dirfd,
        .folder = "log",
        .session_key = f->session,
        .identity = "uuid nonce",
        .codec = f->codec,
    };
    return site_log_open(&config, ret, found);
}

static struct site_log *open_log(struct fixture *f, struct site_log_found *found)
{
    struct site_log *log = NULL;
    assert_int_equal(try_open(f, &log, found), 0);
    return log;
}

/* An object whose bytes follow from SEED: what putting it returns. */
static int try_put(struct fixture *f, struct site_log *log, unsigned seed, size_t size,
                   struct object_ref *ret)
{
    struct object_secret secret = {{1}};
    uint8_t *chunk = malloc(size);
    for (size_t i = 0; i < size; i++)
        chunk[i] = (uint8_t)(((seed + 1) * 2654435761u >> (i % 24)) ^ (i * seed >> 3) ^ i >> 8);
    struct buffer object = {0};
    assert_int_equal(codec_encode_chunk(f->codec, &secret, chunk, size, &object, ret), 0);
    int r = store_put(site_log_store(log), &ret->id, object.data, object.size);
    buffer_free(&object);
    free(chunk);
    return r;
}

static struct object_ref put(struct fixture *f, struct site_log *log, unsigned seed, size_t size)
{
    struct object_ref ref;
    assert_int_equal(try_put(f, log, seed, size, &ref), 0);
    return ref;
}

static bool there(struct site_log *log, const struct object_ref *ref)
{
    struct buffer object = {0};
    int r = store_get(site_log_store(log), &ref->id, &object);
    buffer_free(&object);
    return r == 0;
}

static void put_root(struct site_log *log, uint64_t version)
{
    struct site_root root = {.base_version = version, .consistent = true};
    memset(&root.current, (int)version, sizeof root.current);
    assert_int_equal(site_log_put_root(log, &root), 0);
    assert_int_equal(site_log_flush(log), 0);
}

static uint64_t newest(struct site_log *log)
{
    struct site_root root = {0};
    assert_int_equal(site_log_newest_root(log, &root), 0);
    return root.base_version;
}

static void flip(struct fixture *f, const char *name, off_t offset)
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
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    struct object_ref refs[50];
    for (unsigned i = 0; i < 50; i++)
        refs[i] = put(f, log, i, 16384);
    put_root(log, 1);
    put_root(log, 2);
    site_log_close(log);

    struct site_log_found found;
    log = open_log(f, &found);
    assert_int_equal(found.objects, 50);
    assert_int_equal(newest(log), 2);
    for (unsigned i = 0; i < 50; i++)
        assert_true(there(log, &refs[i]));
    site_log_close(log);
}

static void an_object_is_kept_once(void **state)
{
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    put(f, log, 1, 16384);
    uint64_t before, after, objects;
    site_log_usage(log, &before, &objects);
    put(f, log, 1, 16384);
    site_log_usage(log, &after, &objects);
    assert_int_equal(before, after);
    assert_int_equal(objects, 1);
    site_log_close(log);
}

static void a_log_larger_than_a_segment_is_read_back_whole(void **state)
{
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    enum { COUNT_OF = 24 };
    struct object_ref refs[COUNT_OF];
    for (unsigned i = 0; i < COUNT_OF; i++)
        refs[i] = put(f, log, i, 4u << 20);
    put_root(log, 3);
    site_log_close(log);
    struct site_log_found found;
    log = open_log(f, &found);
    assert_true(found.segments > 1);
    for (unsigned i = 0; i < COUNT_OF; i++)
        assert_true(there(log, &refs[i]));
    site_log_close(log);
}

static void each_opening_writes_to_a_segment_of_its_own(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 1; i <= 4; i++) {
        struct site_log_found found;
        struct site_log *log = open_log(f, &found);
        assert_int_equal(found.segments, i - 1);
        put_root(log, i);
        site_log_close(log);
    }
    struct site_log *log = open_log(f, NULL);
    assert_int_equal(newest(log), 4);
    site_log_close(log);
}

static void the_torn_end_of_a_crash_is_left_out(void **state)
{
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    put_root(log, 1);
    uint64_t bytes, objects;
    site_log_usage(log, &bytes, &objects);
    put_root(log, 2);
    site_log_close(log);
    flip(f, "0000000000000001", (off_t)bytes + 40); /* in the last record */

    struct site_log_found found;
    log = open_log(f, &found);
    assert_int_equal(newest(log), 1);
    assert_true(found.torn_bytes > 0);
    site_log_close(log);
}

static void damage_to_what_was_flushed_is_refused(void **state)
{
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    put_root(log, 1); /* the second root's record says that this one was flushed */
    put_root(log, 2);
    put_root(log, 3);
    site_log_close(log);
    /* the first record stays good, so that it is no wrong key; the second is damaged, and... */
    flip(f, "0000000000000001",
         SEGMENT_HEADER_SIZE + (off_t)segment_record_size(16 + 192 + 1) + 40);
    /* ...the third still says that it was on disk */
    assert_int_equal(try_open(f, &log, NULL), -EBADMSG);
}

static void a_missing_segment_is_refused(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 1; i <= 3; i++) {
        struct site_log *log = open_log(f, NULL);
        put_root(log, i);
        site_log_close(log);
    }
    char path[128];
    snprintf(path, sizeof path, "%s/log/0000000000000002", f->path);
    assert_int_equal(unlink(path), 0);
    struct site_log *log = NULL;
    assert_int_equal(try_open(f, &log, NULL), -EBADMSG);
}

static void another_session_key_opens_nothing(void **state)
{
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    put_root(log, 1);
    site_log_close(log);
    f->session[0] ^= 1;
    assert_int_equal(try_open(f, &log, NULL), -EBADMSG);
    f->session[0] ^= 1;
    log = open_log(f, NULL);
    assert_int_equal(newest(log), 1);
    site_log_close(log);
}

static void a_segment_whose_making_was_cut_short_is_no_damage(void **state)
{
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    put_root(log, 1);
    site_log_close(log);
    char path[128];
    snprintf(path, sizeof path, "%s/log/0000000000000002", f->path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    log = open_log(f, NULL);
    assert_int_equal(newest(log), 1);
    put_root(log, 2);
    site_log_close(log);
    log = open_log(f, NULL);
    assert_int_equal(newest(log), 2);
    site_log_close(log);
}

/* Its header may be in the kernel's memory only. */
static void a_segment_without_records_is_made_anew(void **state)
{
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    put_root(log, 1);
    uint64_t boundary;
    assert_int_equal(site_log_cut(log, &boundary), 0);
    site_log_close(log);
    struct site_log_found found;
    log = open_log(f, &found);
    assert_int_equal(found.segments, 1);
    put_root(log, 2);
    site_log_close(log);
    log = open_log(f, &found);
    assert_int_equal(found.segments, 2);
    assert_int_equal(newest(log), 2);
    site_log_close(log);
}

static void restarting_leaves_the_root_alone(void **state)
{
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    struct object_ref ref = put(f, log, 5, 65536);
    put_root(log, 1);
    struct site_root root = {.base_version = 8};
    assert_int_equal(site_log_restart(log, &root), 0);
    assert_false(there(log, &ref));
    struct object_ref later = put(f, log, 6, 65536);
    put_root(log, 9);
    site_log_close(log);
    struct site_log_found found;
    log = open_log(f, &found);
    assert_int_equal(found.segments, 1);
    assert_int_equal(newest(log), 9);
    assert_true(there(log, &later));
    site_log_close(log);
}

static void what_lies_before_a_cut_is_dropped_and_not_missed(void **state)
{
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    struct object_ref old = put(f, log, 5, 65536), again = put(f, log, 6, 65536);
    put_root(log, 1);
    uint64_t boundary;
    assert_int_equal(site_log_cut(log, &boundary), 0);
    put(f, log, 6, 65536); /* lies before the cut: it is put once more */
    put_root(log, 2);
    assert_true(there(log, &old));
    assert_int_equal(site_log_drop(log, boundary), 0);
    assert_false(there(log, &old));
    assert_true(there(log, &again));
    put_root(log, 3);
    site_log_close(log);
    struct site_log_found found;
    log = open_log(f, &found);
    assert_int_equal(found.segments, 1);
    assert_int_equal(newest(log), 3);
    assert_true(there(log, &again));
    put_root(log, 4);
    site_log_close(log);
    char name[64];
    snprintf(name, sizeof name, "log/%016llx", (unsigned long long)boundary);
    assert_int_equal(unlinkat(f->dirfd, name, 0), 0);
    assert_int_equal(try_open(f, &log, NULL), -EBADMSG);
}

/* Puts objects until the disk has no space for one. */
static void fill(struct fixture *f, struct site_log *log, unsigned *seed)
{
    struct object_ref ref;
    int r = 0;
    for (unsigned end = *seed + 60; r == 0 && *seed < end; ++*seed)
        r = try_put(f, log, *seed, 4u << 20, &ref);
    assert_int_equal(r, full_says);
}

struct writer {
    struct fixture *f;
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
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    disk_left = 0;
    struct writer w = {f, log, 100};
    site_log_set_urgent(log, true);
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, keep_writing, &w), 0);
    pthread_join(other, NULL);
    uint64_t boundary;
    assert_int_equal(site_log_cut(log, &boundary), 0);
    site_log_set_urgent(log, false);
    put_root(log, 2);
    assert_int_equal(site_log_drop(log, boundary), 0);
    site_log_close(log);
    log = open_log(f, NULL);
    assert_int_equal(newest(log), 2);
    site_log_close(log);
}

static void a_log_on_a_full_disk_can_be_shortened_again_and_again(void **state)
{
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    unsigned seed = 0;
    put_root(log, 1);
    disk_left = SEGMENT_SIZE;
    for (uint64_t round = 2; round < 8; round++) {
        uint64_t boundary;
        fill(f, log, &seed);
        site_log_set_urgent(log, true);
        assert_int_equal(site_log_cut(log, &boundary), 0);
        put_root(log, round);
        site_log_set_urgent(log, false);
        freed_is_taken = round % 2 == 0;
        assert_int_equal(site_log_drop(log, boundary), 0);
        if (freed_is_taken) /* space for a segment comes later, and none to set aside */
            disk_left = SEGMENT_SIZE;
    }
    site_log_close(log);
    log = open_log(f, NULL);
    assert_int_equal(newest(log), 7);
    site_log_close(log);
}

static void a_quota_that_is_used_up_is_worked_around_like_a_full_disk(void **state)
{
    full_says = -EDQUOT;
    what_is_set_aside_is_for_who_makes_room(state);
}

/* Whoever makes room has taken what was set aside, others have written behind the cut, and then the
 * process is killed: what it had not flushed has to be moved. */
static unsigned end_while_room_is_made(struct fixture *f, struct object_ref refs[60])
{
    struct site_log *log = open_log(f, NULL);
    unsigned seed = 0, count = 0;
    uint64_t boundary;
    put_root(log, 1);
    disk_left = 0;
    fill(f, log, &seed);
    site_log_set_urgent(log, true);
    assert_int_equal(site_log_cut(log, &boundary), 0);
    site_log_set_urgent(log, false);
    while (try_put(f, log, 1000 + count, 3u << 20, &refs[count]) == 0)
        assert_true(++count < 60);
    site_log_close(log);
    return count;
}

static void a_log_goes_on_after_who_made_room_was_killed_again_and_again(void **state)
{
    struct fixture *f = *state;
    struct object_ref refs[60];
    unsigned count = end_while_room_is_made(f, refs);
    assert_true(count > 0);
    struct site_log *log;
    uint64_t boundary;
    for (uint64_t round = 2; round < 12; round++) {
        log = open_log(f, NULL);
        assert_int_equal(site_log_flush(log), 0); /* moves the tail */
        put_root(log, round);
        if (round % 2 == 0) {
            site_log_set_urgent(log, true);
            assert_int_equal(site_log_cut(log, &boundary), 0);
            site_log_set_urgent(log, false);
        }
        site_log_close(log);
        log = open_log(f, NULL);
        for (unsigned i = 0; i < count; i++)
            assert_true(there(log, &refs[i]));
        assert_int_equal(newest(log), round);
        site_log_close(log);
    }
    /* and with room made at last, a whole segment is set aside again */
    log = open_log(f, NULL);
    struct site_root root = {.base_version = 12};
    assert_int_equal(site_log_restart(log, &root), 0);
    site_log_close(log);
    struct stat st;
    assert_int_equal(fstatat(f->dirfd, "log/spare", &st, 0), 0);
    assert_int_equal(st.st_size, SEGMENT_SIZE);
}

static void a_root_can_be_put_when_all_that_is_left_is_what_was_set_aside(void **state)
{
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    put_root(log, 1);
    site_log_close(log);
    disk_left = 0;
    log = open_log(f, NULL);
    put_root(log, 2);
    site_log_close(log);
    log = open_log(f, NULL);
    assert_int_equal(newest(log), 2);
    site_log_close(log);
}

/* A repair that a kill cut short has the whole disk. */
static void what_a_repair_left_is_no_reason_to_have_no_room(void **state)
{
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    put_root(log, 1);
    site_log_close(log);
    assert_int_equal(renameat(f->dirfd, "log/spare", f->dirfd, "log/0000000000000002.new"), 0);
    disk_left = 0;
    log = open_log(f, NULL);
    put_root(log, 2);
    site_log_close(log);
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
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
    put_root(log, 1);
    uint64_t batch = site_log_begin_batch(log);
    assert_int_equal(site_log_put_operations(log, batch, false, "ab", 2), 0);
    put_root(log, 1);
    assert_int_equal(site_log_put_operations(log, batch, true, "cd", 2), 0);
    assert_int_equal(site_log_flush(log), 0);
    site_log_close(log);
    struct site_log_found found;
    log = open_log(f, &found);
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
    struct fixture *f = *state;
    struct site_log *log = open_log(f, NULL);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
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
        TEST(what_is_set_aside_is_for_who_makes_room),
        TEST(a_quota_that_is_used_up_is_worked_around_like_a_full_disk),
        TEST(a_log_on_a_full_disk_can_be_shortened_again_and_again),
        TEST(a_log_goes_on_after_who_made_room_was_killed_again_and_again),
        TEST(a_root_can_be_put_when_all_that_is_left_is_what_was_set_aside),
        TEST(what_a_repair_left_is_no_reason_to_have_no_room),
        TEST(a_root_amid_a_batch_does_not_cut_it_off),
        TEST(nothing_in_it_is_in_the_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
