/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commit is consistent only if the last batch was: an unmount whose commit could not be
 * finished. After a crash whatever wrote to the parcel was running. */
#include "isrfs/sync/recover.h"

#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/sync/commit.h"

int recover(struct checkout *c, struct failure *failure)
{
    if (!c->log || c->found.batches == 0)
        return 0;
    struct parcel *p = NULL;
    int r = checkout_parcel(c, 0, &p, failure);
    if (r < 0)
        return r;
    struct committer *m = committer_new(c, p);
    r = m ? committer_commit(m, parcel_is_consistent(p)) : -ENOMEM;
    committer_free(m);
    parcel_close(p);
    if (r < 0)
        return failure_set(failure, outcome_of(r),
                           "%s: its journal could not be committed: %s (it is kept; try again)",
                           c->source.parcel, strerror(-r));
    c->parcel_opened = false; /* everything in the log is in a root */
    c->found.batches = 0;
    return 0;
}
