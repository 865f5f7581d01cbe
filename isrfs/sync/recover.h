/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a crash left in the journal becomes the newest root, for those who work without a mount. (A
 * mount needs no more than parcel_open, which replays the journal.) */
#ifndef ISRFS_SYNC_RECOVER_H
#define ISRFS_SYNC_RECOVER_H

#include "isrfs/sync/checkout.h"

#define RECOVER_LINE_SIZE 256u

/* What opening the parcel found, for a person: "NAME: the last mount ended without a commit; ...".
 * False if there was nothing to recover. */
bool recover_line(const struct checkout *c, char out[RECOVER_LINE_SIZE]);

/* Replays and commits; nothing to do is no error. May be repeated. Needs the home where chunks were
 * written in part. C must not have an open parcel. With CHECKOUT_ACCEPT_LOSS what is damaged is
 * told and given up. 0 or negative errno with FAILURE filled in: the journal stays. */
int recover(struct checkout *c, struct failure *failure);

/* A mount has taken the journal up: notes what it was for `isr status`. */
void recover_note(struct checkout *c);

/* What `isr status` can say without any key, of the state folder STATE_FD. */
struct recover_state {
    bool crashed;   /* the last mount ended without a word, and nobody has taken up its work */
    int64_t until;  /* when the log was last written; 0: not known */
    bool recovered; /* such work was taken up since the check-out: */
    struct parcel_recovered found;
    int64_t found_until;
};
void recover_look(int state_fd, struct recover_state *ret);

#endif
