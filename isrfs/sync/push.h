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

struct push_request {
    const struct object_ref *wanted, *base; /* catalogs */
    const struct progress *progress;        /* or NULL */
    const _Atomic bool *stop;               /* ends it soon with -ECANCELED; or NULL */
};

/* Puts every object that WANTED reaches and BASE does not, WANTED's own last, and makes all of it
 * durable. May be repeated. -EBADMSG or -ENOENT (logged) for an object that is nowhere in order. */
int push(struct checkout *c, const struct push_request *request, struct push_result *ret);

#endif
