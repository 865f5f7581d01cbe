/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a parcel may be mounted. */
#ifndef ISRFS_CMD_ISRFS_MOUNTPOINT_H
#define ISRFS_CMD_ISRFS_MOUNTPOINT_H

#include "isrfs/sync/checkout.h"

/* Refuses what is missing, no folder, not empty, not ours to mount on, or a mountpoint already. The
 * resolved path is the caller's. 0 or negative errno with FAILURE. */
int isrfs_mountpoint_check(const char *dir, char **ret, struct failure *failure);

/* Refuses allow_other where this user may not have it. */
int isrfs_mountpoint_allow_other(struct failure *failure);

/* Refuses a folder (which need not exist) that would be hidden below the mountpoint, and whose use
 * would make the daemon wait for itself. WHAT it is, for the message. */
int isrfs_mountpoint_above(const char *mountpoint, const char *folder, const char *what,
                           struct failure *failure);

#endif
