/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Push: everything that one catalog reaches and another does not goes from the site log to the
 * home. */
#ifndef ISRFS_SYNC_PUSH_H
#define ISRFS_SYNC_PUSH_H

#include "isrfs/sync/checkin.h"

struct push_result {
    uint64_t objects, bytes; /* put */
    uint64_t size;           /* bytes of all files in the new catalog */
};

/* Puts every object that WANTED reaches and BASE does not, WANTED's own last, and makes all of it
 * durable. May be repeated. -EBADMSG or -ENOENT (logged) for an object that is nowhere in order. */
int push(struct checkout *c, const struct object_ref *wanted, const struct object_ref *base,
         const struct progress *progress, struct push_result *ret);

#endif
