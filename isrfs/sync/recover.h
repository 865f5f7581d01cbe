/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a crash left in the journal becomes the newest root, for those who work without a mount. (A
 * mount needs no more than parcel_open, which replays the journal.) */
#ifndef ISRFS_SYNC_RECOVER_H
#define ISRFS_SYNC_RECOVER_H

#include "isrfs/sync/checkout.h"

/* Replays and commits; nothing to do is no error. May be repeated. Needs the home where chunks were
 * written in part. C must not have an open parcel. 0 or negative errno with FAILURE filled in: the
 * journal stays. */
int recover(struct checkout *c, struct failure *failure);

#endif
