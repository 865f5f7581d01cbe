/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads objects back and checks them against their ids. */
#ifndef ISRFS_SYNC_VERIFY_H
#define ISRFS_SYNC_VERIFY_H

#include "isrfs/sync/checkin.h"

struct verify_result {
    uint64_t objects, bytes; /* read and found good */
    uint64_t damaged, missing;
};

/* Checks every object in the site log and, with ALL, every object that the newest state reaches,
 * wherever it lies. Each bad one is logged with file, chunk and id. 0 (whatever RET says), or
 * negative errno with FAILURE if it could not be done. */
int verify(struct checkout *c, bool all, const struct progress *progress, struct verify_result *ret,
           struct failure *failure);

#endif
