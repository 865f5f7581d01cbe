/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The texts in `.isrfs`. Each appends to OUT. 0 or negative errno. */
#ifndef ISRFS_FUSE_VIRTUAL_TEXT_H
#define ISRFS_FUSE_VIRTUAL_TEXT_H

#include "isrfs/base/buffer.h"
#include "isrfs/fuse/front.h"

int virtual_text_status(struct mount *m, struct buffer *out);
int virtual_text_stats(struct mount *m, struct buffer *out);
/* A line for each run of chunks: "first-last hole|home|site|memory". */
int virtual_text_chunks(struct mount *m, uint64_t file_id, struct buffer *out);

#endif
