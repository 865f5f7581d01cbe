/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What this site has made of a parcel becomes a parcel of its own: for a lock that was taken away.
 * May be cut off anywhere and repeated; nothing here is removed before the new parcel is there. */
#ifndef ISRFS_SYNC_CHECKIN_AS_H
#define ISRFS_SYNC_CHECKIN_AS_H

#include "isrfs/sync/checkin.h"

/* Makes the newest root of C version 1 of the parcel NAME, at the same lock server and home; gives
 * the lock back if it is still held, and removes this site's state: C can then only be closed.
 * COMMENT may be NULL. If an earlier call made the parcel under another name already, that is what
 * *RET_NAME (the caller's) says. A name that is taken: OUTCOME_FAILED. 0, or negative errno with
 * FAILURE filled in. */
int checkin_as(struct checkout *c, const char *name, const char *comment,
               const struct progress *progress, struct checkin_result *ret, char **ret_name,
               struct failure *failure);

/* Has the check-out with that nonce, whose state is in STATE_FD, become a parcel of its own? Then
 * *RET_NAME (the caller's) is its name, else NULL. 0 or negative errno. */
int checkin_as_ended(int state_fd, const char *nonce, char **ret_name);

#endif
