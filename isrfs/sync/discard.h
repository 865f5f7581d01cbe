/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Giving a check-out up: its changes go, the lock goes back. */
#ifndef ISRFS_SYNC_DISCARD_H
#define ISRFS_SYNC_DISCARD_H

#include "isrfs/sync/checkout.h"

/* Gives the lock back, if it is still held, and then removes this site's state of the parcel: C can
 * then only be closed. Everything is kept if the lock server does not answer. 0, or negative errno
 * with FAILURE filled in. */
int discard(struct checkout *c, struct failure *failure);

#endif
