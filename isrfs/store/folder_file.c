/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The files of a folder store. Nobody vouches for what lies there: only regular files of bounded
 * size are opened, and no symlink below the root is followed to write. A name appears only with all
 * its bytes behind it, by rename. No state. */
#include "isrfs/store/folder_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "isrfs/base/io.h"
#include "isrfs/base/secret.h"

void folder_file_object_path(char out[FOLDER_FILE_PATH_ROOM], const char *top,
                             enum folder_fanout fanout, const struct object_id *id)
{
    char hex[OBJECT_ID_HEX + 1];
    object_id_to_hex(id, hex);
    int digits = fanout == FOLDER_FANOUT_2 ? 0 : fanout == FOLDER_FANOUT_2_1 ? 1 : 2;
    snprintf(out, FOLDER_FILE_PATH_ROOM, "%s/%.2s/%.*s%s%s", top, hex, digits, hex + 2,
             digits ? "/" : "", hex);
}

/* True if what lies at PATH is no regular file, so that it cannot be opened as one. */
static bool is_foreign(const struct folder_root *root, const char *path)
{
    struct stat st;
    if (fstatat(root->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOTDIR;
    return !S_ISREG(st.st_mode);
}

int folder_file_open(const struct folder_root *root, const char *path, size_t limit,
                     size_t *ret_size)
{
    CLEANUP_CLOSE int fd = io_open_read(root->fd, path);
    if (fd == -ENOENT)
        return fd;
    if (fd < 0)
        return is_foreign(root, path) ? -EBADMSG : fd;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size < 0 || (uint64_t)st.st_size > limit)
        return -EBADMSG;
    *ret_size = (size_t)st.st_size;
    return steal_fd(&fd);
}

int folder_file_read_fd(int fd, size_t size, struct buffer *out)
{
    int r = buffer_resize(out, size);
    if (r < 0)
        return r;
    ssize_t n = io_pread(fd, out->data, size, 0);
    if (n < 0)
        return (int)n;
    out->size = (size_t)n;
    return 0;
}

int folder_file_read(const struct folder_root *root, const char *path, size_t limit,
                     struct buffer *out)
{
    size_t size;
    CLEANUP_CLOSE int fd = folder_file_open(root, path, limit, &size);
    return fd < 0 ? fd : folder_file_read_fd(fd, size, out);
}

int folder_file_write(const struct folder_root *root, const char *path, const void *data,
                      size_t size)
{
    char folder[FOLDER_FILE_PATH_ROOM];
    const char *name = strrchr(path, '/') + 1;
    snprintf(folder, sizeof folder, "%.*s", (int)(name - 1 - path), path);
    CLEANUP_CLOSE int dir = folder_root_subfolder(root, folder, true);
    if (dir < 0)
        return dir;
    uint64_t random;
    int r = random_bytes(&random, sizeof random);
    if (r < 0)
        return r;
    char temporary[32];
    snprintf(temporary, sizeof temporary, ".tmp-%016" PRIx64, random);
    CLEANUP_CLOSE int fd = io_create(dir, temporary, 0, 0666);
    if (fd < 0)
        return fd;
    r = io_write(fd, data, size);
    if (r == 0)
        r = io_rename(dir, temporary, dir, name);
    if (r == 0)
        return steal_fd(&fd);
    io_unlink(dir, temporary);
    return r;
}
