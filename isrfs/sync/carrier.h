/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The carrier brings home what a site has committed while the parcel is in use, when the site log
 * has become long or the disk is full: the log gets short again, and a check-in has less to do.
 * Nothing is published by it. A home that is away is tried again later. */
#ifndef ISRFS_SYNC_CARRIER_H
#define ISRFS_SYNC_CARRIER_H

#include "isrfs/parcel/parcel.h"
#include "isrfs/sync/commit.h"

struct carrier;

/* Starts its thread for an open parcel with its committer; all must outlive it. It works when the
 * log has more than LIMIT bytes. NULL: no memory, or the thread cannot be started. */
struct carrier *carrier_new(struct checkout *c, struct parcel *p, struct committer *m,
                            uint64_t limit);
/* Ends the thread, after the objects that it is just carrying. NULL is allowed. */
void carrier_free(struct carrier *k);

#endif
