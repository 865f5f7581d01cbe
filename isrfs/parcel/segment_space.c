/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A segment's space is reserved when its file is made, which makes a full disk known before
 * anything depends on it. What is set aside is such a file too, with a name of its own; it becomes
 * a segment by being renamed.
 *
 * It is as large as the disk allows: who recovers on a full disk needs room for a few records only,
 * or for what the last segment's tail has, and a process that was killed while it made room must
 * not leave a log that cannot go on. It grows when there is space again. */
#include "isrfs/parcel/segment_space.h"

#include <fcntl.h>
#include <inttypes.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/io.h"
#include "isrfs/parcel/segment.h"

#define SPARE_NAME "spare"

int segment_space_reserve(int dirfd, const char *name)
{
    CLEANUP_CLOSE int fd = io_create(dirfd, name, 0, 0600);
    if (fd < 0)
        return fd;
    int r = io_allocate(fd, SEGMENT_SIZE);
    if (r == 0 || r == -EOPNOTSUPP)
        return steal_fd(&fd);
    io_unlink(dirfd, name);
    return r;
}

/* The file's size in whole units, or negative errno. */
static int64_t whole_units(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    return st.st_size - st.st_size % SEGMENT_SPACE_UNIT;
}

/* Makes a file of SIZE bytes larger, up to SEGMENT_SIZE, by as much as there is. */
static int grow(int fd, int64_t size)
{
    int r = size < SEGMENT_SIZE ? -ENOSPC : 0;
    for (int64_t want = SEGMENT_SIZE; io_is_full(r) && want > size;) {
        r = io_allocate(fd, want);
        if (r == 0)
            return want < SEGMENT_SIZE ? -ENOSPC : 0;
        if (r == -EOPNOTSUPP)
            return io_ftruncate(fd, SEGMENT_SIZE);
        io_ftruncate(fd, size); /* some file systems keep what they had got */
        want = (want - want / 8 - 1) / SEGMENT_SPACE_UNIT * SEGMENT_SPACE_UNIT;
    }
    return r;
}

static int open_file(int dirfd, const char *name)
{
    int fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int segment_space_set_aside(int dirfd)
{
    CLEANUP_CLOSE int fd = open_file(dirfd, SPARE_NAME);
    if (fd == -ENOENT)
        fd = io_create(dirfd, SPARE_NAME, 0, 0600);
    if (fd < 0)
        return fd;
    int64_t size = whole_units(fd);
    return size < 0 ? (int)size : grow(fd, size);
}

uint64_t segment_space_aside(int dirfd)
{
    struct stat st;
    if (fstatat(dirfd, SPARE_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    return (uint64_t)(st.st_size - st.st_size % SEGMENT_SPACE_UNIT);
}

int segment_space_take(int dirfd, const char *name, uint64_t *ret_size)
{
    CLEANUP_CLOSE int fd = open_file(dirfd, SPARE_NAME);
    if (fd < 0)
        return fd == -ENOENT ? -ENOSPC : fd;
    int64_t size = whole_units(fd);
    if (size <= 0)
        return size < 0 ? (int)size : -ENOSPC;
    int r = io_rename(dirfd, SPARE_NAME, dirfd, name);
    if (r < 0)
        return r;
    *ret_size = (uint64_t)size;
    return steal_fd(&fd);
}

int segment_space_give_back(int dirfd, uint64_t number, uint64_t end)
{
    char name[32];
    snprintf(name, sizeof name, "%016" PRIx64, number);
    CLEANUP_CLOSE int fd = open_file(dirfd, name);
    struct stat st;
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_size <= end)
        return 0;
    int r = io_ftruncate(fd, (off_t)end);
    return r < 0 ? r : io_fsync(fd);
}
