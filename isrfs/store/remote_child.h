/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to the remote store: one child process, its sockets and the memory shared with it. */
#ifndef ISRFS_STORE_REMOTE_CHILD_H
#define ISRFS_STORE_REMOTE_CHILD_H

#include "isrfs/store/remote_protocol.h"

/* FREE: to be had. BUSY: a caller has it. STUCK: its caller has given up, the child has not yet
 * answered. */
enum remote_slot { REMOTE_SLOT_FREE, REMOTE_SLOT_BUSY, REMOTE_SLOT_STUCK };

struct remote_child {
    pid_t pid;
    int pidfd, control, log; /* the descriptors are -1 once closed */
    unsigned slots;
    uint8_t *memory; /* slots times REMOTE_SLOT_SIZE; NULL once closed */
    int sockets[REMOTE_SLOTS_MAX];

    /* all below: guarded by the lock of struct remote */
    struct remote_child *next; /* among those given up */
    int64_t started;
    bool ready;     /* the folder is open */
    bool retired;   /* given up; no new requests */
    bool quiet;     /* what it says has been said by one before */
    bool closed;    /* remote_child_close was called */
    unsigned users; /* requests that callers wait for */
    unsigned stuck;
    unsigned log_lines;
    uint64_t serial; /* of the last request */
    enum remote_slot state[REMOTE_SLOTS_MAX];
    bool writes[REMOTE_SLOTS_MAX];                /* BUSY: with a request that changes the store */
    struct remote_request last[REMOTE_SLOTS_MAX]; /* BUSY, STUCK: what was asked */
};

/* Starts PROGRAM with a new, empty memory and tells it what to open; does not wait for it. The
 * child inherits no descriptor but what is made for it here. 0 or negative errno. */
int remote_child_start(const char *program, const struct remote_hello *hello,
                       struct remote_child **ret);

/* Kills it, and closes all but its pidfd, by which its end is seen. Does not wait. */
void remote_child_close(struct remote_child *c);

/* True once it has ended (and has been reaped). */
bool remote_child_ended(struct remote_child *c);

/* Releases what is left. NULL is allowed. */
void remote_child_free(struct remote_child *c);

/* Passes on, to the log, the lines that the child has written, at most so many in all, unless it is
 * quiet. */
void remote_child_relay_log(struct remote_child *c);

#endif
