/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The folder `.isrfs` in the root of a mount: what the daemon knows, as files that are made when
 * they are opened. It is not in the parcel, not listed in the root, and read-only.
 *
 *     status                  JSON: which parcel this is, and how much is not home yet
 *     stats                   JSON: counters
 *     chunks/<path>           where each chunk of a file is; '/' in the path is %2F
 *
 * Any thread may call; opening a map of chunks may block on stores. */
#ifndef ISRFS_FUSE_VIRTUAL_H
#define ISRFS_FUSE_VIRTUAL_H

#include <string.h>

#include "isrfs/base/buffer.h"
#include "isrfs/fuse/front.h"

#define VIRTUAL_NAME  ".isrfs"
#define VIRTUAL_FIRST (UINT64_C(1) << 62)

struct virtual_file;

static inline bool virtual_is(fuse_ino_t ino)
{
    return ino >= VIRTUAL_FIRST;
}

/* Is NAME in the folder PARENT ours to answer for (whether it exists or not)? */
static inline bool virtual_has(fuse_ino_t parent, const char *name)
{
    return virtual_is(parent) || (parent == FUSE_ROOT_ID && strcmp(name, VIRTUAL_NAME) == 0);
}

int virtual_lookup(struct mount *m, fuse_ino_t parent, const char *name,
                   struct fuse_entry_param *ret);
int virtual_stat(struct mount *m, fuse_ino_t ino, struct stat *ret);
int virtual_each_name(struct mount *m, fuse_ino_t folder,
                      int (*fn)(void *ctx, const char *name, uint64_t ino, bool is_folder),
                      void *ctx);

/* The text as it is now. Reading copies up to SIZE bytes of it to OUT; their number. */
int virtual_open(struct mount *m, fuse_ino_t ino, struct virtual_file **ret);
size_t virtual_read(const struct virtual_file *file, void *out, size_t size, off_t offset);
void virtual_close(struct virtual_file *file);

#endif
