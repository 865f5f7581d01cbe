/* SPDX-License-Identifier: GPL-3.0-or-later */
/* First the lock, then the files: whatever cuts it off between, the lock server says that the
 * check-out has ended, and the next command removes what is left (checkout_lock.c). */
#include "isrfs/sync/discard.h"

#include <string.h>

#include "isrfs/sync/server.h"

int discard(struct checkout *c, struct failure *failure)
{
    struct lockclient_error error = {0};
    int r = c->lost ? 0 : lockclient_release(c->client, c->source.parcel, c->nonce, &error);
    if (r == -EKEYREVOKED) {
        c->lost = true;
        r = 0;
    }
    if (r < 0)
        return server_failure(failure, &c->source, r, &error);
    r = checkout_forget(c);
    return r < 0 ? failure_set(failure, OUTCOME_FAILED,
                               "%s is given back, but %s cannot be "
                               "cleaned: %s",
                               c->source.parcel, c->state_path, strerror(-r))
                 : 0;
}
