/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Another size for a file of a parcel that is not mounted. */
#ifndef ISRFS_SYNC_RESIZE_H
#define ISRFS_SYNC_RESIZE_H

#include "isrfs/sync/checkout.h"

/* Asked before anything is lost. */
struct resize_question {
    bool (*may_shrink)(void *ctx, uint64_t from, uint64_t to);
    void *ctx;
};

/* Changes the size of the file at PATH and commits; what grows is zeros. C must have nothing of its
 * own to publish, for checkin is to publish this alone. If the answer is no, nothing is done
 * (-ECANCELED, no FAILURE). 0 or negative errno with FAILURE filled in; *RET_FROM: the size before.
 */
int resize_file(struct checkout *c, const char *path, uint64_t size,
                const struct resize_question *question, uint64_t *ret_from,
                struct failure *failure);

#endif
