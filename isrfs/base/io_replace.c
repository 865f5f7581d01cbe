/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Replacement of a file follows the one order that survives a crash at any point: temporary name,
 * write, fsync, rename, fsync the folder. Apart from io.c because the name needs libcrypto's
 * generator, which small programs do not load. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "isrfs/base/io.h"
#include "isrfs/base/secret.h"

/* Splits PATH at its last '/'; the folder is "." where there is none. */
static int split(const char *path, char **ret_folder, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    *ret_name = slash ? slash + 1 : path;
    size_t length = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    *ret_folder = length ? strndup(path, length) : strdup(".");
    return *ret_folder ? 0 : -ENOMEM;
}

int io_replace(int dirfd, const char *path, const void *data, size_t size, mode_t mode,
               bool durable)
{
    CLEANUP_FREE char *folder = NULL;
    const char *name;
    int r = split(path, &folder, &name);
    if (r < 0)
        return r;
    CLEANUP_CLOSE int dir = openat(dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    uint64_t random;
    r = random_bytes(&random, sizeof random);
    if (r < 0)
        return r;
    char temporary[64];
    snprintf(temporary, sizeof temporary, ".tmp-%016" PRIx64, random);
    CLEANUP_CLOSE int fd = io_create(dir, temporary, 0, mode);
    if (fd < 0)
        return fd;
    r = io_write(fd, data, size);
    if (r == 0 && durable)
        r = io_fsync(fd);
    if (r == 0)
        r = io_rename(dir, temporary, dir, name);
    if (r < 0) {
        io_unlink(dir, temporary);
        return r;
    }
    return durable ? io_fsync(dir) : 0;
}

int io_update(int dirfd, const char *path, const void *data, size_t size, mode_t mode)
{
    CLEANUP_BUFFER struct buffer old = {0};
    int r = io_read_file(dirfd, path, size, &old);
    if (r == 0 && old.size == size && memcmp(old.data, data, size) == 0)
        return 0;
    return io_replace(dirfd, path, data, size, mode, true);
}
