/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a segment's keys, and what its records and header vouch for, keep: nothing of a site log is
 * taken for what it is not, wherever else it is put. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "isrfs/base/io.h"
#include "isrfs/base/secret.h"
#include "isrfs/parcel/segment.h"
#include "tests/unit/log_fixture.h"

#define PAYLOAD 100u

/* Every segment gets the same salt, and so the same key. */
static bool same_salt;

int __real_random_bytes(void *out, size_t size);
int __wrap_random_bytes(void *out, size_t size);
int __wrap_random_bytes(void *out, size_t size)
{
    if (!same_salt)
        return __real_random_bytes(out, size);
    memset(out, 5, size);
    return 0;
}

struct fixture {
    char path[64];
    int dirfd, log_fd; /* and of the log's folder in it */
    struct codec *codec;
    struct aead *aead;
    struct segment_keys keys;
};

static int setup(void **state)
{
    static const uint8_t session[32] = {9};
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->path, "/tmp/test_segment.XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->dirfd = open(f->path, O_RDONLY | O_DIRECTORY);
    assert_int_equal(mkdirat(f->dirfd, "log", 0700), 0);
    f->log_fd = openat(f->dirfd, "log", O_RDONLY | O_DIRECTORY);
    struct codec_settings settings = {.method = CODEC_STORED};
    f->codec = codec_new(&settings);
    f->aead = aead_new();
    f->keys = (struct segment_keys){f->aead, f->codec, session, "uuid nonce"};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    same_salt = false;
    close(f->log_fd);
    close(f->dirfd);
    io_remove_tree(AT_FDCWD, f->path);
    aead_free(f->aead);
    codec_free(f->codec);
    free(f);
    return 0;
}

/* --- files --- */

static int open_file(struct fixture *f, unsigned number)
{
    char name[32];
    snprintf(name, sizeof name, "%016x", number);
    int fd = openat(f->log_fd, name, O_RDWR);
    assert_true(fd >= 0);
    return fd;
}

static void get_bytes(struct fixture *f, unsigned number, uint64_t offset, void *out, size_t size)
{
    int fd = open_file(f, number);
    assert_int_equal(pread(fd, out, size, (off_t)offset), size);
    close(fd);
}

static void set_bytes(struct fixture *f, unsigned number, uint64_t offset, const void *bytes,
                      size_t size)
{
    int fd = open_file(f, number);
    assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), size);
    close(fd);
}

static void swap_bytes(struct fixture *f, unsigned number, uint64_t a, uint64_t b, size_t size)
{
    uint8_t x[512], y[512];
    assert_true(size <= sizeof x);
    get_bytes(f, number, a, x, size);
    get_bytes(f, number, b, y, size);
    set_bytes(f, number, a, y, size);
    set_bytes(f, number, b, x, size);
}

/* As much of a file as the tests write. */
struct copy {
    uint8_t bytes[4 * SEGMENT_HEADER_SIZE];
};

static void take_copy(struct fixture *f, unsigned number, struct copy *ret)
{
    get_bytes(f, number, 0, ret->bytes, sizeof ret->bytes);
}

static void put_copy(struct fixture *f, unsigned number, const struct copy *copy)
{
    set_bytes(f, number, 0, copy->bytes, sizeof copy->bytes);
}

/* The header says that it is of this number. */
static void say_number(struct fixture *f, unsigned number)
{
    uint8_t bytes[8];
    put_u64(bytes, number);
    set_bytes(f, number, 8, bytes, sizeof bytes);
}

/* --- segments --- */

/* A segment with two records of the same bytes. */
static struct segment *make_segment(struct fixture *f, unsigned number,
                                    const struct segment *previous)
{
    struct segment *s;
    uint8_t bytes[PAYLOAD];
    memset(bytes, 'x', sizeof bytes);
    const struct iovec part = {bytes, sizeof bytes};
    const struct segment_payload payload = {&part, 1, sizeof bytes};
    assert_int_equal(segment_create(&f->keys, f->log_fd, number, previous, 0, 0, &s), 0);
    uint64_t offset = SEGMENT_HEADER_SIZE;
    for (uint64_t i = 0; i < 2; i++, offset += segment_record_size(PAYLOAD))
        assert_int_equal(
            segment_seal(&f->keys, s, offset, i, RECORD_OBJECT, (struct flush_point){0}, &payload),
            0);
    assert_int_equal(segment_write(s, SEGMENT_HEADER_SIZE, offset), 0);
    return s;
}

static uint64_t offset_of(uint64_t record)
{
    return SEGMENT_HEADER_SIZE + record * segment_record_size(PAYLOAD);
}

static int read_record(struct fixture *f, const struct segment *s, uint64_t record)
{
    struct buffer buffer = {0};
    struct segment_record found;
    int r = segment_read(&f->keys, s, offset_of(record), record, &buffer, &found);
    buffer_free(&buffer);
    return r;
}

static void the_same_record_is_other_bytes_each_time(void **state)
{
    struct fixture *f = *state;
    struct segment *one = make_segment(f, 1, NULL), *two = make_segment(f, 2, one);
    uint8_t a[PAYLOAD], b[PAYLOAD];
    size_t front = SEGMENT_FRAME_SIZE + SEGMENT_PREAMBLE_SIZE;
    get_bytes(f, 1, offset_of(0) + front, a, sizeof a);
    get_bytes(f, 2, offset_of(0) + front, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    get_bytes(f, 1, offset_of(1) + front, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    segment_free(one);
    segment_free(two);
}

static void what_another_check_out_wrote_does_not_open(void **state)
{
    struct fixture *f = *state;
    segment_free(make_segment(f, 1, NULL));
    struct segment *s;
    f->keys.identity = "uuid another nonce";
    assert_int_equal(segment_open(&f->keys, f->log_fd, 1, &s), -EKEYREJECTED);
}

static void assert_it_does_not_move(struct fixture *f)
{
    struct segment *one = make_segment(f, 1, NULL), *two = make_segment(f, 2, one);
    uint8_t record[PAYLOAD + SEGMENT_OVERHEAD];
    get_bytes(f, 1, offset_of(0), record, sizeof record);
    assert_int_equal(read_record(f, two, 0), 0);
    set_bytes(f, 2, offset_of(0), record, sizeof record);
    assert_int_equal(read_record(f, one, 0), 0);
    assert_int_equal(read_record(f, two, 0), -EBADMSG);
    segment_free(one);
    segment_free(two);
}

static void a_record_is_good_in_its_own_segment_only(void **state)
{
    assert_it_does_not_move(*state);
}

static void that_does_not_hang_on_the_key_alone(void **state)
{
    same_salt = true;
    assert_it_does_not_move(*state);
}

static void a_record_is_good_in_its_own_place_only(void **state)
{
    struct fixture *f = *state;
    struct segment *s = make_segment(f, 1, NULL);
    assert_int_equal(read_record(f, s, 0), 0);
    assert_int_equal(read_record(f, s, 1), 0);
    swap_bytes(f, 1, offset_of(0), offset_of(1), PAYLOAD + SEGMENT_OVERHEAD);
    assert_int_equal(read_record(f, s, 0), -EBADMSG);
    assert_int_equal(read_record(f, s, 1), -EBADMSG);
    /* and if the numbers are made to fit */
    swap_bytes(f, 1, offset_of(0) + 8, offset_of(1) + 8, 8);
    assert_int_equal(read_record(f, s, 0), -EBADMSG);
    assert_int_equal(read_record(f, s, 1), -EBADMSG);
    segment_free(s);
}

/* --- the row of them --- */

static void put_root(struct site_log *log, uint64_t version)
{
    struct site_root root = {.base_version = version};
    assert_int_equal(site_log_put_root(log, &root), 0);
    assert_int_equal(site_log_flush(log), 0);
}

/* Roots, each of which says that those before it were on disk, in a new segment. */
static void write_roots(struct fixture *f, uint64_t first, uint64_t last)
{
    struct site_log *log;
    assert_int_equal(log_fixture_open(f->dirfd, f->codec, &log), 0);
    for (uint64_t i = first; i <= last; i++)
        put_root(log, i);
    site_log_close(log);
}

static void assert_refused(struct fixture *f)
{
    struct site_log *log;
    assert_int_equal(log_fixture_open(f->dirfd, f->codec, &log), -EBADMSG);
}

static void assert_newest(struct fixture *f, uint64_t version)
{
    struct site_log *log;
    struct site_root root;
    assert_int_equal(log_fixture_open(f->dirfd, f->codec, &log), 0);
    assert_int_equal(site_log_newest_root(log, &root), 0);
    assert_int_equal(root.base_version, version);
    site_log_close(log);
}

static void three_segments(struct fixture *f)
{
    write_roots(f, 1, 3);
    write_roots(f, 4, 6);
    write_roots(f, 7, 9);
    assert_newest(f, 9);
}

static void segments_that_changed_places_are_refused(void **state)
{
    struct fixture *f = *state;
    struct copy one, two;
    three_segments(f);
    take_copy(f, 1, &one);
    take_copy(f, 2, &two);
    put_copy(f, 1, &two);
    put_copy(f, 2, &one);
    assert_refused(f);
    say_number(f, 1);
    say_number(f, 2);
    assert_refused(f);
    put_copy(f, 1, &one);
    put_copy(f, 2, &two);
    assert_newest(f, 9);
}

static void a_segment_is_not_put_behind_itself(void **state)
{
    struct fixture *f = *state;
    struct copy copy;
    three_segments(f);
    take_copy(f, 3, &copy);
    close(openat(f->log_fd, "0000000000000004", O_CREAT | O_WRONLY, 0600));
    put_copy(f, 4, &copy);
    assert_refused(f);
    say_number(f, 4);
    assert_refused(f);
}

/* Of the same number and session, after the same first segment. */
static void a_segment_of_another_past_is_refused(void **state)
{
    struct fixture *f = *state;
    struct copy first, other, copy;
    write_roots(f, 1, 3);
    take_copy(f, 1, &first);
    write_roots(f, 4, 6);
    take_copy(f, 2, &other);
    put_copy(f, 1, &first);
    assert_int_equal(unlinkat(f->log_fd, "0000000000000002", 0), 0);
    write_roots(f, 4, 6);
    write_roots(f, 7, 9);
    assert_newest(f, 9);
    take_copy(f, 2, &copy);
    put_copy(f, 2, &other);
    assert_refused(f);
    put_copy(f, 2, &copy);
    assert_newest(f, 9);
}

static void an_older_copy_of_a_segment_is_refused(void **state)
{
    struct fixture *f = *state;
    struct copy copy, next;
    struct site_log *log;
    assert_int_equal(log_fixture_open(f->dirfd, f->codec, &log), 0);
    put_root(log, 1);
    take_copy(f, 1, &copy);
    put_root(log, 2);
    put_root(log, 3);
    site_log_close(log);
    write_roots(f, 4, 6); /* says how much of the one before counts */
    assert_newest(f, 6);
    put_copy(f, 1, &copy);
    assert_refused(f);
    take_copy(f, 2, &next); /* its header is enough */
    memset(next.bytes + SEGMENT_HEADER_SIZE, 0, sizeof next.bytes - SEGMENT_HEADER_SIZE);
    put_copy(f, 2, &next);
    assert_refused(f);
}

/* That is what a crash would have left: nothing beside the log knows more. A part of an older copy
 * is damage. */
static void an_older_copy_of_the_newest_segment_is_the_log_of_then(void **state)
{
    struct fixture *f = *state;
    struct copy old, new;
    struct site_log *log;
    assert_int_equal(log_fixture_open(f->dirfd, f->codec, &log), 0);
    put_root(log, 1);
    take_copy(f, 1, &old);
    put_root(log, 2);
    put_root(log, 3);
    uint64_t bytes = site_log_bytes(log);
    site_log_close(log);
    assert_newest(f, 3);
    take_copy(f, 1, &new);
    put_copy(f, 1, &old);
    assert_newest(f, 1);
    uint64_t record = (bytes - SEGMENT_HEADER_SIZE) / 3, second = SEGMENT_HEADER_SIZE + record;
    put_copy(f, 1, &new);
    set_bytes(f, 1, second, old.bytes + second, record);
    assert_refused(f);
}

/* Its front is zeros, as if it had never been made; but it was. */
static void a_segment_that_lost_its_front_is_damaged(void **state)
{
    struct fixture *f = *state;
    static const uint8_t nothing[SEGMENT_HEADER_SIZE + SEGMENT_FRAME_SIZE];
    struct copy copy;
    write_roots(f, 1, 3);
    write_roots(f, 4, 6);
    take_copy(f, 2, &copy);
    set_bytes(f, 2, 0, nothing, sizeof nothing);
    assert_refused(f);
    put_copy(f, 2, &copy);
    assert_newest(f, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_same_record_is_other_bytes_each_time),
        TEST(what_another_check_out_wrote_does_not_open),
        TEST(a_record_is_good_in_its_own_segment_only),
        TEST(that_does_not_hang_on_the_key_alone),
        TEST(a_record_is_good_in_its_own_place_only),
        TEST(segments_that_changed_places_are_refused),
        TEST(a_segment_is_not_put_behind_itself),
        TEST(a_segment_of_another_past_is_refused),
        TEST(an_older_copy_of_a_segment_is_refused),
        TEST(an_older_copy_of_the_newest_segment_is_the_log_of_then),
        TEST(a_segment_that_lost_its_front_is_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
