/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What isrfs_session.c and isrfs_requests.c share. */
#ifndef ISRFS_CMD_ISRFS_SESSION_PRIVATE_H
#define ISRFS_CMD_ISRFS_SESSION_PRIVATE_H

#include <pthread.h>

#include "isrfs/cmd/isrfs_options.h"
#include "isrfs/fuse/control.h"
#include "isrfs/fuse/mount.h"

/* `use` is held by whoever uses the mount, parcel or committer on behalf of a request, and by the
 * main thread to take them away; `status` likewise, but never for long: a checkpoint may take
 * minutes, and the state must be told meanwhile. Order: use, then status. */
struct session {
    const struct isrfs_options *options;
    char *mountpoint;
    struct site *site;
    struct source source;
    bool read_only;
    pthread_mutex_t use, status;
    struct checkout *checkout;   /* status */
    struct parcel *parcel;       /* use and status */
    struct committer *committer; /* use and status */
    struct carrier *carrier;     /* use and status */
    struct mount *mount;         /* use and status; NULL once it has ended */
    unsigned no_checkin;         /* status; so many want none when the mount ends, */
    bool ended;                  /* status; which it has */
    struct control *control;
};

/* Fills in what answers to other commands. */
void isrfs_requests_handlers(struct session *s, struct control_handlers *ret);

/* Says in FAILURE where this site has the parcel mounted already, if a daemon answers there. */
void isrfs_requests_say_where(const struct site *site, const struct source *source,
                              struct failure *failure);

#endif
