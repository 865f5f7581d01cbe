/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Everything of a parcel anew, under another secret and uuid, so that a key that was lost opens
 * nothing of it from now on (DESIGN 7). What somebody has copied already stays readable to who has
 * its keys. */
#ifndef ISRFS_SYNC_REKEY_H
#define ISRFS_SYNC_REKEY_H

#include "isrfs/sync/checkin.h"

struct rekey_result {
    uint64_t version;        /* the one that was published */
    uint64_t objects, bytes; /* written; 0: an earlier call had done so */
};

/* Takes the lock, writes the newest version's objects anew, publishes that as the next version and
 * forgets all versions before, in one step at the lock server, gives the lock back, and removes the
 * old version records at home: what they alone reached is garbage then. The parcel must not be
 * checked out. May be killed at any point and called again. 0 or negative errno with FAILURE. */
int rekey(const struct site *site, const struct source *source, const struct progress *progress,
          struct rekey_result *ret, struct failure *failure);

#endif
