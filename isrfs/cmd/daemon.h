/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What other commands do with a parcel that is mounted: find its daemon, ask it, unmount and follow
 * its check-in. */
#ifndef ISRFS_CMD_DAEMON_H
#define ISRFS_CMD_DAEMON_H

#include "isrfs/cmd/cmd.h"

/* The path of PROGRAM beside this program, else its plain name for a search in PATH. The caller's,
 * or NULL. */
char *daemon_program(const char *program);

/* Sends a request to the daemon that works in this state folder and follows it; see
 * control_request. -ENOENT: no daemon runs there. */
int daemon_request(const char *state_path, const char *request, const struct progress *progress,
                   struct buffer *ret_answer, struct failure *failure);

/* What the daemon says of itself: a JSON object, the caller's. -ENOENT: no daemon runs there. */
int daemon_status(const char *state_path, json_t **ret);

/* Refuses if the parcel is mounted at this site, with ADVICE, or being checked in: the exit status
 * (said), else 0. */
int daemon_refuse(const struct cmd *c, const struct source *source, const char *advice);

/* Is this path where isrfs is mounted? *RET_SOURCE is then the caller's: what was mounted. 0,
 * -ENOENT or other negative errno. */
int daemon_find_mount(const char *path, char **ret_source);

/* Unmounts DIR (absolute) and waits until the daemon in STATE_PATH (NULL: read-only, none to wait
 * for) has checked in; with NO_CHECKIN it does not, and the parcel stays checked out. FLAGS as
 * umount2(2). The exit status; everything is said. */
int daemon_unmount(const struct cmd *c, const char *dir, const char *state_path, bool no_checkin,
                   int flags);

#endif
