/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What watches over a mount while it serves: the signals that end it. */
#ifndef ISRFS_FUSE_WATCH_H
#define ISRFS_FUSE_WATCH_H

#include "isrfs/fuse/front.h"

struct watch;

/* Starts the thread; called by the thread that is about to serve. SIGTERM, SIGINT and SIGHUP must
 * be blocked in every thread. 0 or negative errno. */
int watch_new(struct mount *m, struct watch **ret);

/* Ends the thread, when nothing is served any more. NULL is allowed. */
void watch_free(struct watch *w);

#endif
