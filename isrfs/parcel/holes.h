/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A set of chunk indexes as sorted ranges: chunks that were made holes and are not yet so in the
 * keyring. Not locked: its owner's lock guards it. */
#ifndef ISRFS_PARCEL_HOLES_H
#define ISRFS_PARCEL_HOLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hole_range {
    uint64_t first, last; /* FIRST to LAST - 1 */
};

struct holes {
    struct hole_range *ranges; /* owned; sorted, apart from each other, none empty */
    size_t count, room;
};

void holes_free(struct holes *h);

/* 0 or -ENOMEM (nothing changed). */
int holes_add(struct holes *h, uint64_t first, uint64_t last);
int holes_remove(struct holes *h, uint64_t first, uint64_t last);

/* The range that holds INDEX, or NULL. */
const struct hole_range *holes_find(const struct holes *h, uint64_t index);
/* The first range that begins above INDEX, or NULL. */
const struct hole_range *holes_after(const struct holes *h, uint64_t index);

#endif
