/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to the folder store: reading and writing one file. Paths are relative to the root. */
#ifndef ISRFS_STORE_FOLDER_FILE_H
#define ISRFS_STORE_FOLDER_FILE_H

#include "isrfs/store/folder_root.h"

#define FOLDER_FILE_PATH_ROOM 320u /* for any path below the root */

/* Where an object lies below TOP ("chunks", "quarantine"). */
void folder_file_object_path(char out[FOLDER_FILE_PATH_ROOM], const char *top,
                             enum folder_fanout fanout, const struct object_id *id);

/* Opens a regular file of at most LIMIT bytes for reading. A descriptor, -ENOENT, -EBADMSG for what
 * cannot be one of ours (a link, a pipe, a folder, too large), or as the system says. */
int folder_file_open(const struct folder_root *root, const char *path, size_t limit,
                     size_t *ret_size);

/* Reads the SIZE bytes that were there when it was opened; a file that is cut meanwhile gives less.
 */
int folder_file_read_fd(int fd, size_t size, struct buffer *out);

/* Both in one. */
int folder_file_read(const struct folder_root *root, const char *path, size_t limit,
                     struct buffer *out);

/* Makes or replaces a file, and the folders that it needs. A descriptor of it or negative errno;
 * then no temporary file is left. Not durable: see folder_flush.h. */
int folder_file_write(const struct folder_root *root, const char *path, const void *data,
                      size_t size);

#endif
