/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A store in a folder of any mounted file system (DESIGN 5): `isrfs-store` (the marker), chunks/,
 * quarantine/, versions/, holds/. Nothing is asked of the file system but create, write, fsync,
 * rename, unlink, stat and readdir. */
#ifndef ISRFS_STORE_FOLDER_H
#define ISRFS_STORE_FOLDER_H

#include "isrfs/base/pool.h"
#include "isrfs/store/store.h"

#define STORE_UUID_HEX 32u

enum folder_fanout { FOLDER_FANOUT_2, FOLDER_FANOUT_2_1, FOLDER_FANOUT_2_2 };

struct folder_config {
    const char *path;          /* copied */
    const char *uuid;          /* 32 hex digits that the marker must show; NULL takes any. Copied */
    bool read_only;            /* refuse every write with -EROFS */
    struct codec *codec;       /* must outlive the store */
    struct counters *counters; /* may be NULL; must outlive the store */
    struct pool *pool; /* flushes files side by side; NULL: one by one. Must outlive the store */
};

/* The fan-out for a store that will hold about BYTES of chunks. */
enum folder_fanout folder_fanout_for(uint64_t bytes);

/* Makes the marker in an empty or missing folder (its parent must exist), durably; RET_UUID gets
 * the new uuid. -ENOTEMPTY for a folder that holds anything, -EEXIST for one that is already a
 * store (with its uuid in RET_UUID), or as the system says. */
int folder_create(const char *path, enum folder_fanout fanout, char ret_uuid[STORE_UUID_HEX + 1]);

/* Opens a folder store. -EHOSTDOWN when the folder or the marker is missing, damaged, or another's
 * (one line is logged that says which): such a store is offline, never empty. -EACCES, -EROFS
 * (logged too) for a folder that may not be read or, unless read_only, not be written. Once open, a
 * store may go offline (calls give -EHOSTDOWN) and come back; what was put and not flushed before
 * is then unknown, as store_barrier says. It keeps up to 256 descriptors open between barriers. */
int folder_open(const struct folder_config *config, struct store **ret);

/* store_put of a folder store, but writes the object whatever lies there: for one that was put
 * through another process, whose barrier may have failed. */
int folder_put_anew(struct store *s, const struct object_id *id, const void *object, size_t size);

/* The uuid that the marker shows; lives as long as the store. */
const char *folder_uuid(const struct store *s);

#endif
