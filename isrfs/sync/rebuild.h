/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parcels from a store and the recovery key alone, when the lock server is lost (DESIGN 7). */
#ifndef ISRFS_SYNC_REBUILD_H
#define ISRFS_SYNC_REBUILD_H

#include "isrfs/sync/checkout.h"

struct rebuild_config {
    const struct source
        *source;             /* lock server and user; of the parcel its name or uuid in the store
                              * (NULL: all), and the version (0: the newest that can be read) */
    const char *store;       /* SCHEME://path or a folder */
    const char *new_name;    /* make it another parcel, of this name; NULL: the same again */
    const uint8_t *recovery; /* LOCKCLIENT_RECOVERY_SIZE bytes */
};

/* One that was found. */
struct rebuild_parcel {
    const char *uuid;   /* in the store */
    const char *name;   /* at the lock server now; NULL: none of its records could be opened */
    const char *good;   /* the versions that can be read: "1-7, 9"; empty: none */
    size_t records;     /* version records in the store */
    uint64_t from;      /* the version that was taken, */
    uint64_t number;    /* its number now; both 0: nothing was done */
    uint64_t time;      /* when it was recorded */
    const char *reason; /* why nothing was done; NULL: something was */
};

/* Looks at every version record in the store, and makes the parcels at the lock server again: as
 * they were, uuid and number too, or with NEW_NAME as a new parcel. Records from now on, and those
 * that could be opened, are sealed with the user's recovery key there, which is the given one if
 * the user had no parcels. REPORT is called for each parcel that is looked for; records that are
 * damaged, planted or another's are passed over and logged by name. May be repeated. 0, or negative
 * errno with FAILURE; parcels may have been made before. */
int rebuild(const struct site *site, const struct rebuild_config *config,
            void (*report)(void *ctx, const struct rebuild_parcel *p), void *ctx, size_t *ret_made,
            struct failure *failure);

#endif
