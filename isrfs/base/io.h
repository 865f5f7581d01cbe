/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All writing to disk goes through here (so that a test can make any of it fail), with the loops
 * that short counts and EINTR ask for. Paths are relative to DIRFD (AT_FDCWD for the working
 * directory). Every call may block on the disk; any thread may call. Results: 0 or negative errno.
 */
#ifndef ISRFS_BASE_IO_H
#define ISRFS_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "isrfs/base/buffer.h"

/* Creates a file that must not exist: O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, read and write. The
 * descriptor or negative errno. FLAGS are added (O_DIRECT, ...). */
int io_create(int dirfd, const char *path, int flags, mode_t mode);

/* Opens a file, and makes it if there is none: O_RDWR|O_CREAT|O_CLOEXEC. The descriptor or negative
 * errno. FLAGS are added (O_APPEND, O_NOFOLLOW, ...). */
int io_open_write(int dirfd, const char *path, int flags, mode_t mode);

/* Opens an existing regular file for reading, without following a final symlink and without hanging
 * on a FIFO: a descriptor, -ENOENT, or -ELOOP / -EINVAL for what is no regular file. */
int io_open_read(int dirfd, const char *path);

int io_write(int fd, const void *data, size_t size);                /* all of it, or an error */
int io_pwrite(int fd, const void *data, size_t size, off_t offset); /* likewise */
/* Reads SIZE bytes at OFFSET; fewer only at the end of the file. The count or negative errno. */
ssize_t io_pread(int fd, void *data, size_t size, off_t offset);
int io_fsync(int fd);
int io_fdatasync(int fd);
int io_syncfs(int fd);
int io_ftruncate(int fd, off_t size);
/* Does that error say that there is no space: the disk is full, or a quota used up? */
bool io_is_full(int error);
int io_allocate(int fd, off_t size); /* reserves space; -EOPNOTSUPP where the file system cannot */
int io_rename(int from_dirfd, const char *from, int to_dirfd, const char *to);
int io_unlink(int dirfd, const char *path); /* a file; -ENOENT if there is none */
int io_rmdir(int dirfd, const char *path);
int io_mkdir(int dirfd, const char *path, mode_t mode); /* -EEXIST if there is one */

/* Makes the folder and its missing parents. An existing folder is no error. */
int io_mkdir_parents(int dirfd, const char *path, mode_t mode);

/* Flushes the folder itself, so that the names in it last. PATH "." is DIRFD's own. */
int io_fsync_dir(int dirfd, const char *path);

/* Writes DATA under a temporary name beside PATH and renames. With DURABLE it has also been
 * flushed, file and folder, when this returns 0. An old file is either whole or replaced whole. */
int io_replace(int dirfd, const char *path, const void *data, size_t size, mode_t mode,
               bool durable);

/* Likewise, durably, but nothing is written where the file has just that content already: on a full
 * disk that makes the difference. */
int io_update(int dirfd, const char *path, const void *data, size_t size, mode_t mode);

/* Appends a whole regular file of at most LIMIT bytes to OUT. -ENOENT, -EFBIG beyond LIMIT. */
int io_read_file(int dirfd, const char *path, size_t limit, struct buffer *out);
/* Appends what comes from a pipe or the like until its end, or its first LIMIT bytes. Blocks. */
int io_read_stream(int fd, size_t limit, struct buffer *out);

/* Calls FN with each name in the folder, except "." and "..", in no order, until it returns other
 * than 0; returns that, or negative errno. */
int io_each_name(int dirfd, const char *path, int (*fn)(void *ctx, const char *name), void *ctx);

/* Removes a folder and all in it without following symlinks. */
int io_remove_tree(int dirfd, const char *path);

#endif
