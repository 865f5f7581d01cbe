/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What damage to a site's log, or to what it builds on at home, takes away: told by file and range,
 * a line each. */
#ifndef ISRFS_SYNC_DAMAGE_H
#define ISRFS_SYNC_DAMAGE_H

#include "isrfs/sync/checkout.h"

/* For a check-out whose log is damaged: finds out what that hurts. 0 if nothing that is still
 * needed, or with CHECKOUT_ACCEPT_LOSS; else all is told, nothing touched, and refused as
 * OUTCOME_DAMAGED. */
int damage_check(struct checkout *c, struct failure *failure);

/* After a commit that failed with ERROR: if what it needs is damaged or missing, that is told, and
 * refused as OUTCOME_DAMAGED. Otherwise 0 (also if that cannot be found out). C must not have an
 * open parcel. */
int damage_explain(struct checkout *c, int error, struct failure *failure);

/* Tells what P (opened with salvage) does without. *RET_BYTES and *RET_UNKNOWN (changes of which
 * nobody knows the file): how much it is. 0 or negative errno. */
int damage_tell(struct checkout *c, struct parcel *p, uint64_t *ret_bytes, uint64_t *ret_unknown);

/* Likewise for a commit that gives it up: before the root, after which nobody could tell any more.
 * Notes that in C->loss_told. */
int damage_tell_given_up(struct checkout *c, struct parcel *p);

#endif
