/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a check-out has changed since the version that it is based on. */
#ifndef ISRFS_SYNC_CHANGES_H
#define ISRFS_SYNC_CHANGES_H

#include "isrfs/sync/checkout.h"

struct changed_file {
    uint64_t file_id;
    char *path;
    uint64_t bytes; /* that were written, in whole chunks and blocks; 0 for one that was removed */
    bool removed;
};

struct changes {
    struct changed_file *files; /* the largest change first */
    size_t count;
    uint64_t bytes;
};

/* Looks at the newest root and at the journal. C must not have an open parcel. What is damaged is
 * left out. 0, or negative errno with FAILURE filled in. */
int changes_list(struct checkout *c, struct changes *ret, struct failure *failure);
void changes_free(struct changes *changes);
#define CLEANUP_CHANGES CLEANUP(changes_free)

#endif
