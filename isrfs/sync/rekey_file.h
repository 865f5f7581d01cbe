/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One file written anew under another secret. Private to this folder. */
#ifndef ISRFS_SYNC_REKEY_FILE_H
#define ISRFS_SYNC_REKEY_FILE_H

#include "isrfs/parcel/catalog.h"
#include "isrfs/sync/checkin.h"

struct rekey_target {
    struct codec *codec;
    struct pool *pool;
    struct store *from, *to;
    const struct object_secret *secret; /* the new one */
    const struct progress *progress;    /* may be NULL */
    uint64_t objects, bytes;            /* put; grow */
};

/* Puts every chunk and node of the file that ENTRY describes anew (not yet durable), and changes
 * ENTRY's root and height to the new ones. Memory is a batch's. 0 or negative errno with FAILURE;
 * nothing is left out. */
int rekey_file(struct rekey_target *t, struct catalog_entry *entry, struct failure *failure);

#endif
