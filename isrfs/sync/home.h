/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The URL of a parcel's home, SCHEME://path (DESIGN 5). FILE, any folder that is mounted, is the
 * one scheme of this release; others are refused by name. */
#ifndef ISRFS_SYNC_HOME_H
#define ISRFS_SYNC_HOME_H

#include "isrfs/sync/checkout.h"

/* What a person gives, a URL or a plain path, as a URL with an absolute, resolved path. The
 * caller's. 0 or negative errno with FAILURE filled in. */
int home_url(const char *text, char **ret_url, struct failure *failure);

/* The folder that a URL names; points into URL. NULL with FAILURE filled in. */
const char *home_folder(const char *url, struct failure *failure);

#endif
