/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parcels that this site has begun to make. The record of a new parcel's first version lies at home
 * before the lock server knows the parcel; if the command is killed between, nothing but a note at
 * this site names that record, and its objects would be kept for ever. */
#ifndef ISRFS_SYNC_BEGUN_H
#define ISRFS_SYNC_BEGUN_H

#include "isrfs/sync/checkout.h"

struct begun;

struct begun_parcel {
    const struct source *source; /* lock server and user */
    const char *parcel;          /* its name to be */
    const char *uuid;
    const char *src; /* the home's URL */
    const struct object_id *catalog;
};

/* Notes it, durably; before the record is put. 0 or negative errno. */
int begun_note(const struct site *site, const struct begun_parcel *parcel, struct begun **ret);
/* Forgets the note: the parcel is there, or was refused and its record is gone. */
void begun_end(struct begun *b);
/* Leaves the note to begun_clear. NULL is allowed. */
void begun_free(struct begun *b);

/* Removes the records of what was begun here with SOURCE's lock server and the home at SRC, and has
 * not come to be within an hour. What cannot be done is left to the next time. */
void begun_clear(const struct site *site, const struct source *source, struct lockclient *client,
                 const char *src, struct store *home);

static inline void cleanup_begun(struct begun **b)
{
    begun_free(*b);
}
#define CLEANUP_BEGUN CLEANUP(cleanup_begun)

#endif
