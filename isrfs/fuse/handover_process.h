/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The child process of handover.c, and what is said between the two: messages on one SEQPACKET
 * socket, its descriptor 0. */
#ifndef ISRFS_FUSE_HANDOVER_PROCESS_H
#define ISRFS_FUSE_HANDOVER_PROCESS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* To the child, followed by the path below the mountpoint, without NUL, at most PATH_MAX bytes. */
struct handover_request {
    uint64_t file_id;
};

struct handover_answer {
    uint64_t file_id;
    int64_t result; /* 0, or the negative errno that closing the file gave */
};

struct handover_process {
    pid_t pid; /* -1: there is none, or it has been reaped */
    int pidfd, socket;
};

void handover_process_init(struct handover_process *p);

/* Starts it, for the file system DEVICE that is mounted on MOUNTPOINT. 0 or negative errno. */
int handover_process_start(struct handover_process *p, const char *mountpoint, dev_t device);

/* Does not block: -EAGAIN when the child is far behind, -ENAMETOOLONG; another error: it is gone.
 */
int handover_process_ask(const struct handover_process *p, uint64_t file_id, const char *path);
/* The next answer: 1. 0: none is there yet. Negative errno: it is gone. */
int handover_process_answer(const struct handover_process *p, struct handover_answer *ret);

/* Kills it and closes the socket; does not wait for its end, by which pidfd becomes readable. */
void handover_process_kill(struct handover_process *p);
/* Is there none any more? Does not wait; reaps it. */
bool handover_process_ended(struct handover_process *p);
/* All three; a child that has not ended yet is left to whoever reaps this process's children. */
void handover_process_close(struct handover_process *p);

#endif
