/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Version records: what a parcel's home says of its versions (DESIGN 5), so that whoever keeps the
 * store knows which catalogs are needed. `versions/<uuid>/<number>-<catalog id>`, KEY:=value. */
#ifndef ISRFS_SYNC_VERSION_H
#define ISRFS_SYNC_VERSION_H

#include "isrfs/codec/object.h"
#include "isrfs/store/store.h"

/* Puts the record of version NUMBER; durable after the next barrier. Again is no error. Errors as
 * store_put_record. */
int version_put(struct store *home, const char *uuid, uint64_t number,
                const struct object_id *catalog);

/* Removes it, if it is there. */
int version_remove(struct store *home, const char *uuid, uint64_t number,
                   const struct object_id *catalog);

/* Removes every record of these versions of a parcel, and with NUMBERS NULL of all its versions.
 * Durable after the next barrier. */
int version_remove_numbers(struct store *home, const char *uuid, const uint64_t *numbers,
                           size_t count);

#endif
