/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bringing home what a site has committed: push, publish, and (for a check-in) give the lock back.
 * Each step may be repeated after a crash anywhere, and the end is the same (DESIGN 6). */
#ifndef ISRFS_SYNC_CHECKIN_H
#define ISRFS_SYNC_CHECKIN_H

#include "isrfs/sync/checkout.h"

/* How far it has come, for people. Called from the calling thread; TEXT is one line without a
 * newline. DONE and TOTAL are bytes to be pushed (TOTAL 0: not known). */
struct progress {
    void (*report)(void *ctx, const char *text, uint64_t done, uint64_t total);
    void *ctx;
};

struct checkin_result {
    uint64_t version;        /* what was published, or the base when nothing had changed */
    bool changed;            /* was there anything to publish? */
    uint64_t objects, bytes; /* pushed */
};

/* Publishes the newest root of the check-out. With RELEASE the lock is given back and this site's
 * state of the parcel removed: C can then only be closed. Without, C goes on from the new version
 * (a checkpoint). COMMENT may be NULL. Nothing that was committed is lost by a failure: 0, or
 * negative errno with FAILURE filled in. */
int checkin(struct checkout *c, bool release, const char *comment, const struct progress *progress,
            struct checkin_result *ret, struct failure *failure);

/* Publishes an older version as the newest one too; no object is copied. C must have nothing of its
 * own to publish. Otherwise as checkin; a failure before anything was recorded gives the lock back
 * if RELEASE. After a crash or a failure in between, it or checkin finishes what was begun. */
int checkin_rollback(struct checkout *c, uint64_t version, bool release, const char *comment,
                     struct checkin_result *ret, struct failure *failure);

#endif
