/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Thin: each call is the system call of that name with its loops. Replacement of a file is in
 * io_replace.c. */
#include "isrfs/base/io.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#define STREAM_PART 4096u /* bytes that are asked for at once */

static int result(int r)
{
    return r < 0 ? -errno : r;
}

bool io_is_full(int error)
{
    return error == -ENOSPC || error == -EDQUOT;
}

int io_create(int dirfd, const char *path, int flags, mode_t mode)
{
    return result(
        openat(dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | flags, mode));
}

int io_open_write(int dirfd, const char *path, int flags, mode_t mode)
{
    return result(openat(dirfd, path, O_RDWR | O_CREAT | O_CLOEXEC | flags, mode));
}

int io_open_read(int dirfd, const char *path)
{
    CLEANUP_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    return steal_fd(&fd);
}

int io_write(int fd, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

int io_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    const uint8_t *at = data;
    while (size > 0) {
        ssize_t n = pwrite(fd, at, size, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += n;
        offset += n;
        size -= (size_t)n;
    }
    return 0;
}

ssize_t io_pread(int fd, void *data, size_t size, off_t offset)
{
    uint8_t *at = data;
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, at + done, size - done, offset + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int io_fsync(int fd)
{
    return result(fsync(fd));
}

int io_fdatasync(int fd)
{
    return result(fdatasync(fd));
}

int io_syncfs(int fd)
{
    return result(syncfs(fd));
}

int io_ftruncate(int fd, off_t size)
{
    return result(ftruncate(fd, size));
}

int io_allocate(int fd, off_t size)
{
    return result(fallocate(fd, 0, 0, size));
}

int io_rename(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
    return result(renameat(from_dirfd, from, to_dirfd, to));
}

int io_unlink(int dirfd, const char *path)
{
    return result(unlinkat(dirfd, path, 0));
}

int io_rmdir(int dirfd, const char *path)
{
    return result(unlinkat(dirfd, path, AT_REMOVEDIR));
}

int io_mkdir(int dirfd, const char *path, mode_t mode)
{
    return result(mkdirat(dirfd, path, mode));
}

static bool is_folder(int dirfd, const char *path)
{
    struct stat st;
    return fstatat(dirfd, path, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

int io_mkdir_parents(int dirfd, const char *path, mode_t mode)
{
    CLEANUP_FREE char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    for (char *at = copy + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char kept = *at;
        *at = '\0';
        int r = io_mkdir(dirfd, copy, mode);
        if (r < 0 && !(is_folder(dirfd, copy)))
            return r == -EEXIST ? -ENOTDIR : r;
        *at = kept;
        if (kept == '\0')
            return 0;
    }
}

int io_fsync_dir(int dirfd, const char *path)
{
    CLEANUP_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : io_fsync(fd);
}

int io_read_file(int dirfd, const char *path, size_t limit, struct buffer *out)
{
    CLEANUP_CLOSE int fd = io_open_read(dirfd, path);
    if (fd < 0)
        return fd;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size < 0 || (uint64_t)st.st_size > limit)
        return -EFBIG;
    /* files in /proc say 0: read until the end, whatever stat said */
    size_t start = out->size;
    for (;;) {
        size_t want = (size_t)st.st_size > 0 ? (size_t)st.st_size + 1 : 4096;
        int r = buffer_reserve(out, out->size + want);
        if (r < 0)
            return r;
        ssize_t n = io_pread(fd, out->data + out->size, want, (off_t)(out->size - start));
        if (n < 0)
            return (int)n;
        out->size += (size_t)n;
        if (out->size - start > limit)
            return -EFBIG;
        if ((size_t)n < want)
            return 0;
    }
}

int io_read_stream(int fd, size_t limit, struct buffer *out)
{
    for (size_t got = 0; got < limit;) {
        size_t size = out->size, part = limit - got < STREAM_PART ? limit - got : STREAM_PART;
        int r = buffer_resize(out, size + part);
        if (r < 0)
            return r;
        ssize_t n = read(fd, out->data + size, part);
        out->size = size + (n > 0 ? (size_t)n : 0);
        got += n > 0 ? (size_t)n : 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
    }
    return 0;
}

int io_each_name(int dirfd, const char *path, int (*fn)(void *ctx, const char *name), void *ctx)
{
    CLEANUP_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    CLEANUP_CLOSEDIR DIR *dir = fdopendir(fd);
    if (!dir)
        return -errno;
    steal_fd(&fd);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            return -errno;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int r = fn(ctx, entry->d_name);
        if (r != 0)
            return r;
    }
}

static int remove_one(void *ctx, const char *name)
{
    int dirfd = *(int *)ctx;
    int r = io_unlink(dirfd, name);
    return r == -EISDIR || r == -EPERM ? io_remove_tree(dirfd, name) : r;
}

int io_remove_tree(int dirfd, const char *path)
{
    CLEANUP_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = io_each_name(fd, ".", remove_one, &fd);
    return r < 0 ? r : io_rmdir(dirfd, path);
}
