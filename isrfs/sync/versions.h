/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is done with whole versions and parcels: at the lock server, and with their records at home,
 * in the order in which a crash leaves garbage at home and never a version without its objects. */
#ifndef ISRFS_SYNC_VERSIONS_H
#define ISRFS_SYNC_VERSIONS_H

#include "isrfs/sync/checkout.h"

/* C is a check-out that was opened with CHECKOUT_READ_ONLY | CHECKOUT_RECORDS. Each: 0 or negative
 * errno with FAILURE filled in, and may be repeated. */

/* The version that C is becomes version 1 of a new parcel, in the same store. */
int versions_clone(const struct site *site, struct checkout *c, const char *name,
                   const char *comment, struct failure *failure);

/* Makes the lock server forget the parcel, then the home its versions. C->home may be NULL: then
 * the records stay. */
int versions_remove(struct checkout *c, struct failure *failure);

/* The same for some of its versions, perhaps none; those that stay and have no record at home get
 * it first. Each of the two also removes from the home
 * whatever else the lock server has forgotten. */
int versions_prune(struct checkout *c, const uint64_t *numbers, size_t count,
                   struct failure *failure);

#endif
