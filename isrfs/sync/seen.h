/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A site's memory of the highest version that it has seen of a parcel, so that a lock server cannot
 * offer an older one, or another in its place, and nobody notices (DESIGN 7, 11). The file `seen`
 * in the parcel's state folder. */
#ifndef ISRFS_SYNC_SEEN_H
#define ISRFS_SYNC_SEEN_H

#include "isrfs/sync/checkout.h"

/* Compares what the lock server has named as the newest version (C's uuid, base_version and base,
 * and EPOCH) with what this site has seen and, for a fresh check-out, with the version records at
 * home; then remembers it. With ACCEPT what is found is a warning only. A record that is missing at
 * home, or not sealed, is put there (not yet durable). 0, or negative errno with FAILURE: stop. */
int seen_check(struct checkout *c, uint64_t epoch, bool accept, struct failure *failure);

/* For reading only: a warning, and nothing is remembered. */
void seen_warn(const struct site *site, const struct checkout *c, uint64_t epoch);

/* This site has published NUMBER. What cannot be written is logged: the next check-out makes up for
 * it. */
void seen_note(struct checkout *c, uint64_t number, const struct object_id *catalog);

#endif
