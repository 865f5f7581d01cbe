/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The part of a check-out that is between this site and the lock server: state folder, nonce, lock.
 * Private to checkout.c. */
#ifndef ISRFS_SYNC_CHECKOUT_LOCK_H
#define ISRFS_SYNC_CHECKOUT_LOCK_H

#include "isrfs/sync/checkout.h"
#include "lockclient/lockclient.h"

/* Makes and opens the state folder and locks it against other processes of this site. With EXISTING
 * a folder without a nonce is refused as not checked out. */
int checkout_lock_site(struct checkout *c, const struct site *site, bool existing,
                       struct failure *failure);

/* Gets the parcel's lock, or takes up what this site has; fills nonce, base_version, fresh and
 * SESSION (32 bytes). See checkout_open for what it returns. */
int checkout_lock_parcel(struct checkout *c, const struct lockclient_parcel_cfg *cfg,
                         uint8_t *session, struct failure *failure);

/* Gives a fresh lock back and forgets the nonce: the check-out could not be completed. */
void checkout_lock_abandon(struct checkout *c);

#endif
