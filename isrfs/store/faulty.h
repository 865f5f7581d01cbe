/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A store for tests that passes everything on to another one and fails on purpose, by seed. */
#ifndef ISRFS_STORE_FAULTY_H
#define ISRFS_STORE_FAULTY_H

#include "isrfs/store/store.h"

/* Chances out of 1,000,000 for each call. */
struct faulty_config {
    uint64_t seed;
    unsigned get_error, get_missing, get_truncated, get_flipped; /* get */
    unsigned put_error, barrier_error;
    unsigned put_torn;     /* put: fails and leaves a part of the object under its name */
    unsigned gone;         /* of the objects, chosen by id: they are not there while faults last */
    unsigned offline;      /* any call: -EHOSTDOWN */
    unsigned delay_us_max; /* each call waits up to this long */
};

/* Wraps BELOW, which is not owned and must outlive it. NULL: no memory. Damage that it does to an
 * object is found by store_get's check like anyone's. */
struct store *faulty_new(struct store *below, const struct faulty_config *config);

/* From now on no call fails; and from now on calls fail again, with other objects gone. */
void faulty_calm(struct store *s);
void faulty_resume(struct store *s);

/* How many failures there were, of any kind but delays. */
uint64_t faulty_failures(struct store *s);

#endif
