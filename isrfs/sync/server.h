/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A parcel's lock server, as this site reaches it; and its refusals as failures. */
#ifndef ISRFS_SYNC_SERVER_H
#define ISRFS_SYNC_SERVER_H

#include "isrfs/sync/checkout.h"
#include "lockclient/lockclient.h"

/* Is the lock server a folder on this machine? */
bool server_is_folder(const struct source *source);

/* A client for SOURCE's lock server and user. A folder that does not exist is no lock server
 * (OUTCOME_UNREACHABLE), but with CREATE it becomes one when it is first asked. 0 or negative errno
 * with FAILURE filled in. */
int server_open(const struct site *site, const struct source *source, bool create,
                struct lockclient **ret, struct failure *failure);

/* Fills F from what a lockclient call about SOURCE (whose parcel may be NULL) gave; returns
 * ERROR. */
int server_failure(struct failure *f, const struct source *source, int error,
                   const struct lockclient_error *e);

#endif
