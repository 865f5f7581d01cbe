/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is published of a state that is not consistent: a disk and a memory of two moments must
 * never be found together in a version. */
#ifndef ISRFS_SYNC_DISK_ONLY_H
#define ISRFS_SYNC_DISK_ONLY_H

#include "isrfs/sync/checkout.h"

/* The newest state as it may be published: itself, if it is consistent or has no volatile files; if
 * C->disk_only, without these (a catalog that is put into the log, not flushed). Otherwise it is
 * refused (OUTCOME_FAILED). With the root's token. 0 or negative errno with FAILURE filled in. */
int disk_only(struct checkout *c, struct object_ref *ret, struct failure *failure);

#endif
