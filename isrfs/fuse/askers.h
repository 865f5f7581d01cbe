/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who sent a request that waits for a home that is away: when that process is being killed, or has
 * ended, the request is given up, for until it has been answered the process cannot go. */
#ifndef ISRFS_FUSE_ASKERS_H
#define ISRFS_FUSE_ASKERS_H

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct askers;

/* One request, while the thread that serves it is in the parcel. Its members are askers.c's. */
struct asker {
    struct askers *askers;
    fuse_req_t req;
    struct asker *prev, *next;
    uint64_t id;           /* grows; 0: it has not waited */
    pid_t thread, process; /* 0: not known */
    bool fills_pages;
    bool interrupted, ended; /* the process has got some signal; it ends */
};

/* WAKE is called, from a thread of its own and without a lock, when askers_given_up should be asked
 * again. 0 or negative errno. */
int askers_new(void (*wake)(void *ctx), void *ctx, struct askers **ret);
/* No request may be served any more. NULL is allowed. */
void askers_free(struct askers *a);

/* Around a call into the parcel for REQ, which costs next to nothing if the call does not wait.
 * FILLS_PAGES: it reads for the kernel's cache, so whoever still needs it will ask again. */
void askers_begin(struct askers *a, struct asker *asker, fuse_req_t req, bool fills_pages);
/* To be called before REQ is answered. */
void askers_end(struct asker *asker);

/* For parcel_set_given_up; ASKERS is a struct askers. Of the request that this thread serves. */
bool askers_given_up(void *askers);

#endif
