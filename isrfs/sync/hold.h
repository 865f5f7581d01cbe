/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Holds: what a collector of garbage at a parcel's home must keep for a check-out (DESIGN 5).
 * `holds/<uuid>/<SHA-256 of the nonce>`, KEY:=value. */
#ifndef ISRFS_SYNC_HOLD_H
#define ISRFS_SYNC_HOLD_H

#include "isrfs/codec/codec.h"
#include "isrfs/store/store.h"

/* Names CATALOG as what this check-out is based on, or has pushed. Durable after the next barrier.
 */
int hold_put(struct store *home, struct codec *codec, const char *uuid, const char *nonce,
             const struct object_id *catalog);

/* Removes it, if it is there. */
int hold_remove(struct store *home, struct codec *codec, const char *uuid, const char *nonce);

#endif
