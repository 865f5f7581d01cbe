/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One file on its way into a store. Private to this folder. */
#ifndef ISRFS_SYNC_IMPORT_FILE_H
#define ISRFS_SYNC_IMPORT_FILE_H

#include "isrfs/sync/import_source.h"

struct import_target {
    struct codec *codec;
    struct pool *pool;
    struct store *store;
    const struct object_secret *secret;
    const struct progress *progress; /* may be NULL */
    uint32_t chunk_size;
    uint64_t total;      /* bytes of all files, for the progress */
    uint64_t done;       /* of the files before; grows */
    uint64_t data_bytes; /* that were not holes; grows */
};

/* Writes every chunk and node of SOURCE to the store (not yet durable) and fills in what ENTRY says
 * of the content: size, chunk size, height, root. NAME is for messages. 0 or negative errno with
 * FAILURE. */
int import_file(struct import_target *t, struct import_source *source, const char *name,
                struct catalog_entry *entry, struct failure *failure);

#endif
