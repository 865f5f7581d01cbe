/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What imported files are called in the parcel. Private to this folder. */
#ifndef ISRFS_SYNC_IMPORT_NAMES_H
#define ISRFS_SYNC_IMPORT_NAMES_H

#include "isrfs/sync/import_source.h"

#define IMPORT_DISK_NAME "disk.img"

/* Is an image that is imported under this name to stay an image file? */
bool import_names_keep(const char *name);

/* The names of COUNT files, into RET_NAMES (each the caller's, NULL for those not reached). Refuses
 * what a parcel cannot hold, and two of one name. 0 or negative errno with FAILURE. */
int import_names_choose(const struct import_file *files, struct import_source *const *sources,
                        size_t count, char **ret_names, struct failure *failure);

#endif
