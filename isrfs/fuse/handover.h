/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Has the kernel hand over, every two seconds, what it holds of files that are open for writing, so
 * that it is kept before anybody asks (sync/commit.h). Not of volatile files. */
#ifndef ISRFS_FUSE_HANDOVER_H
#define ISRFS_FUSE_HANDOVER_H

#include "isrfs/fuse/front.h"

struct handover;

/* Starts the thread. 0 or negative errno. */
int handover_new(struct mount *m, struct handover **ret);

/* Ends the thread and the child process, and waits for nothing in the kernel. Only while the
 * session is still there, and none of its requests is served any more. NULL is allowed. */
void handover_free(struct handover *h);

/* A file was added to the writers, or one was removed. NULL is allowed: nothing is done. */
void handover_changed(struct handover *h);

/* Replies to FLUSH for a file that was open for writing, at once or a little later. */
void handover_closing(struct handover *h, fuse_req_t req, uint64_t file_id);

#endif
