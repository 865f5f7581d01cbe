/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SEEK_DATA and SEEK_HOLE, right also for what is still in the kernel's hands. */
#ifndef ISRFS_FUSE_SEEK_H
#define ISRFS_FUSE_SEEK_H

#include "isrfs/fuse/front.h"

struct seek;

/* Starts a thread that has the kernel hand over its pages. */
int seek_new(struct mount *m, struct seek **ret);

/* Ends the thread; requests that wait get -ENOTCONN. Only while the session is still there, and
 * none of its requests is served any more. NULL is allowed. */
void seek_free(struct seek *s);

/* Replies to REQ, at once or later. */
void seek_request(struct seek *s, fuse_req_t req, uint64_t file_id, uint64_t offset, bool data);

#endif
