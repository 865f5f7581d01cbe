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
    unsigned offline;      /* any call: -EHOSTDOWN */
    unsigned delay_us_max; /* each call waits up to this long */
};

/* Wraps BELOW, which is not owned and must outlive it. NULL: no memory. Damage that it does to an
 * object is found by store_get's check like anyone's. */
struct store *faulty_new(struct store *below, const struct faulty_config *config);

/* From now on no call fails. */
void faulty_calm(struct store *s);

#endif
