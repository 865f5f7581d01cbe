/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keeping what is changed: fsync writes a batch of the journal; a commit makes the parcel as it is
 * at one moment the newest root of the site log. */
#ifndef ISRFS_SYNC_COMMIT_H
#define ISRFS_SYNC_COMMIT_H

#include "isrfs/parcel/parcel.h"
#include "isrfs/sync/checkout.h"

struct committer;

/* For one open parcel and its check-out, both of which must outlive it. With a thread of its own,
 * which keeps changes every two seconds that nobody asked to be kept, and commits what it can when
 * the log has grown long. NULL: no memory. */
struct committer *committer_new(struct checkout *c, struct parcel *p);
/* Ends the thread; keeps nothing. NULL is allowed. */
void committer_free(struct committer *m);

/* When this returns 0, every change that was made before the call survives any crash. Any number of
 * threads may call: those who wait while one works share what comes next. Needs the disk of this
 * site only. Negative errno: the changes are still in memory. */
int committer_sync(struct committer *m, bool consistent);

/* Likewise, but DONE is called with the result, in this thread or another, before or after this
 * returns: a thread that serves requests is not held by one of them. -ENOMEM: DONE is not called.
 * This thread may be kept busy with what others ask for meanwhile. */
typedef void committer_done(void *arg, int result);
int committer_sync_later(struct committer *m, committer_done *done, void *arg);

/* As committer_sync, and all of it is in a root, ready to be published. What has to be fetched from
 * the home (where chunks were written in part) is fetched first, which holds up nobody else;
 * changes wait while the last of it is done. CONSISTENT says that the VM is stopped (nothing has
 * the files open). */
int committer_commit(struct committer *m, bool consistent);

/* For a full disk. NEED_ROOM is called, with a lock held, when somebody's turn found no space: it
 * must not block, nor call the committer; committer_room must be called later with how it went: 0,
 * and those who waited have another turn, or what they are told. May be set at any time; when it
 * has been taken back (NULL), nobody waits any more but those that it was called for before.
 * committer_relieve is a commit for whoever makes room: it may use what was set aside, and objects
 * go home at once. It needs the home. */
void committer_set_room(struct committer *m, void (*need_room)(void *ctx), void *ctx);
void committer_room(struct committer *m, int result);
int committer_relieve(struct committer *m);

#endif
