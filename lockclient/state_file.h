/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the two programs behind the lock server's commands (isr_look.c, isr_keep.c) share: reading
 * its files, which are text, line by line. Results: 0 or negative errno. */
#ifndef ISRFS_LOCKCLIENT_STATE_FILE_H
#define ISRFS_LOCKCLIENT_STATE_FILE_H

#include "isrfs/base/buffer.h"

#define STATE_FILE_MAX (64u << 20)

/* Appends the last line to OUT, without its newline. *RET_WHOLE: it had one, or the file is empty;
 * and *RET_SIZE: the file's bytes. Either may be NULL. -ENOENT. */
int state_file_last_line(int dirfd, const char *path, struct buffer *out, bool *ret_whole,
                         size_t *ret_size);

#endif
