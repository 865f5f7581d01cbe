/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control socket of a running daemon (`control` in the parcel's state folder): how other
 * commands of this site ask for a checkpoint and follow a check-in. One request a connection: a
 * line "status", "checkpoint <percent-encoded comment>" (or "checkpoint-disk <...>"), "wait" or
 * "wait-noci" (there is to be no check-in if who says so is still there when the mount ends; it is
 * answered at once that this is known); the answers are lines of JSON, the last one of which has
 * "done": {"outcome": n, "text": "..."}. Only this user can connect. */
#ifndef ISRFS_FUSE_CONTROL_H
#define ISRFS_FUSE_CONTROL_H

#include "isrfs/sync/checkin.h"

struct control;

struct control_handlers {
    /* Appends a JSON object with the daemon's state. */
    int (*status)(void *ctx, struct buffer *out);
    /* Makes a checkpoint (DISK_ONLY: without a running machine's memory); FAILURE says in its text
     * how it went, also when it succeeded. */
    int (*checkpoint)(void *ctx, const char *comment, bool disk_only,
                      const struct progress *progress, struct checkin_result *ret,
                      struct failure *failure);
    /* Somebody wants no check-in at the mount's end, or not any more. -EALREADY: it has ended. */
    int (*no_checkin)(void *ctx, bool wanted);
    void *ctx;
};

/* Listens in the folder DIRFD, on a thread of its own. 0 or negative errno. */
int control_open(int dirfd, const struct control_handlers *handlers, struct control **ret);

/* Tells all that "wait" how far the daemon's check-in has come, and at last how it ended. Any
 * thread. */
void control_progress(struct control *c, const char *text, uint64_t done, uint64_t total);
void control_finish(struct control *c, enum outcome outcome, const char *text);

/* Removes the socket's name: nobody new can ask, who is connected stays. To be called before the
 * parcel's lock at this site is let go, since the next daemon puts its own socket there. */
void control_retire(struct control *c);

/* Ends the thread and removes the socket, unless it is retired. NULL is allowed. */
void control_close(struct control *c);

/* The client's side: connects to the daemon whose state folder is DIRFD (-ENOENT, -ECONNREFUSED: no
 * daemon), sends REQUEST, passes each progress line on, and returns 0 when the last answer has
 * come; its outcome and text are then in FAILURE (OUTCOME_DONE for success); -EPIPE if the daemon
 * ended without one.
 *
 * control_ask sends a request that is answered at once and goes on: 0 when that answer has come,
 * and control_request without a REQUEST follows what comes then; -ECANCELED if it was the last one,
 * which is in FAILURE. */
struct control_client;
int control_connect(int dirfd, struct control_client **ret);
int control_ask(struct control_client *c, const char *request, struct failure *failure);
int control_request(struct control_client *c, const char *request, const struct progress *progress,
                    struct buffer *ret_answer, struct failure *failure);
void control_disconnect(struct control_client *c);

#endif
