/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The system may write, and read, less than it was asked for, or be interrupted: what goes through
 * base/io.h is whole all the same, or an error. The calls are wrapped by the linker, and do half.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include "isrfs/base/io.h"

#define SIZE 100000u

static struct {
    bool on;
    unsigned calls; /* every third is interrupted */
    unsigned full;  /* the disk is full after so many */
    bool nothing;   /* not a byte is written, and no error given */
} system_call = {.full = UINT_MAX};

/* How much of SIZE is done; -1: errno says why not. */
static ssize_t half(size_t size)
{
    if (!system_call.on)
        return (ssize_t)size;
    if (++system_call.calls % 3 == 0) {
        errno = EINTR;
        return -1;
    }
    if (system_call.calls > system_call.full) {
        errno = ENOSPC;
        return -1;
    }
    return system_call.nothing ? 0 : (ssize_t)((size + 1) / 2);
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    ssize_t n = half(size);
    return n > 0 ? __real_write(fd, data, (size_t)n) : n;
}

ssize_t __real_pwrite64(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    ssize_t n = half(size);
    return n > 0 ? __real_pwrite64(fd, data, (size_t)n, offset) : n;
}

ssize_t __real_pread64(int fd, void *data, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *data, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *data, size_t size, off_t offset)
{
    ssize_t n = half(size);
    return n > 0 ? __real_pread64(fd, data, (size_t)n, offset) : n;
}

struct world {
    int fd;
    uint8_t data[SIZE], found[SIZE];
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->fd = memfd_create("test_io", MFD_CLOEXEC);
    assert_true(w->fd >= 0);
    for (size_t i = 0; i < SIZE; i++)
        w->data[i] = (uint8_t)(i % 251);
    memset(&system_call, 0, sizeof system_call);
    system_call.on = true;
    system_call.full = UINT_MAX;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    system_call.on = false;
    close(w->fd);
    free(w);
    return 0;
}

/* All of it lies at OFFSET, and the file ends there. */
static void assert_whole(struct world *w, off_t offset)
{
    assert_true(system_call.calls > 10);
    system_call.on = false;
    assert_int_equal(lseek(w->fd, 0, SEEK_END), offset + (off_t)SIZE);
    assert_int_equal(pread(w->fd, w->found, SIZE, offset), SIZE);
    assert_memory_equal(w->found, w->data, SIZE);
}

static void what_is_written_in_parts_is_whole(void **state)
{
    struct world *w = *state;
    assert_int_equal(io_write(w->fd, w->data, SIZE), 0);
    assert_whole(w, 0);
}

static void what_is_written_at_a_place_in_parts_is_whole(void **state)
{
    struct world *w = *state;
    assert_int_equal(io_pwrite(w->fd, w->data, SIZE, 12345), 0);
    assert_whole(w, 12345);
}

static void what_is_read_in_parts_is_whole(void **state)
{
    struct world *w = *state;
    assert_int_equal(__real_write(w->fd, w->data, SIZE), SIZE);
    assert_int_equal(io_pread(w->fd, w->found, SIZE - 10, 10), SIZE - 10);
    assert_memory_equal(w->found, w->data + 10, SIZE - 10);
}

static void a_disk_that_fills_up_in_between_is_an_error(void **state)
{
    struct world *w = *state;
    system_call.full = 4;
    assert_int_equal(io_write(w->fd, w->data, SIZE), -ENOSPC);
    system_call.calls = 0;
    assert_int_equal(io_pwrite(w->fd, w->data, SIZE, 0), -ENOSPC);
}

static void a_disk_that_takes_nothing_is_an_error(void **state)
{
    struct world *w = *state;
    system_call.nothing = true;
    assert_int_equal(io_write(w->fd, w->data, SIZE), -EIO);
    assert_int_equal(io_pwrite(w->fd, w->data, SIZE, 0), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(what_is_written_in_parts_is_whole),
        TEST(what_is_written_at_a_place_in_parts_is_whole),
        TEST(what_is_read_in_parts_is_whole),
        TEST(a_disk_that_fills_up_in_between_is_an_error),
        TEST(a_disk_that_takes_nothing_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
