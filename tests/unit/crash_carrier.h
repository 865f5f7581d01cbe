/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A carrier whose clock is the test's. A program that has one is linked with CRASH_CARRIER_WRAPS
 * (tests/crash.mk). One at a time. */
#ifndef ISRFS_TESTS_CRASH_CARRIER_H
#define ISRFS_TESTS_CRASH_CARRIER_H

#include "isrfs/sync/carrier.h"

/* As carrier_new; it works whenever it looks, however short the log is. */
struct carrier *crash_carrier_new(struct checkout *c, struct parcel *p, struct committer *m);

/* Has it look once, and waits until it has done what it found. */
void crash_carrier_look(void);

#endif
