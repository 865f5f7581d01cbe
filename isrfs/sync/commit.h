/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commit: the parcel as it is at one moment becomes the newest root of the site log, durably. */
#ifndef ISRFS_SYNC_COMMIT_H
#define ISRFS_SYNC_COMMIT_H

#include "isrfs/parcel/parcel.h"
#include "isrfs/sync/checkout.h"

struct committer;

/* For one open parcel and its check-out, both of which must outlive it. NULL: no memory. */
struct committer *committer_new(struct checkout *c, struct parcel *p);
void committer_free(struct committer *m);

/* When this returns 0, every change that was made before the call survives any crash. Changes wait
 * while it works. Any number of threads may call: those who wait while one commits share the next
 * commit. CONSISTENT says that the VM is stopped (nothing has the files open). Negative errno:
 * nothing is lost, the changes are still in memory. */
int committer_commit(struct committer *m, bool consistent);

#endif
