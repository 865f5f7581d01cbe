/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The mount: a parcel's files through the low-level FUSE interface, its control socket, and the
 * virtual folder `.isrfs`. */
#ifndef ISRFS_FUSE_MOUNT_H
#define ISRFS_FUSE_MOUNT_H

#include "isrfs/sync/checkin.h"
#include "isrfs/sync/commit.h"

struct mount_config {
    struct checkout *checkout;   /* must outlive the mount */
    struct parcel *parcel;       /* likewise */
    struct committer *committer; /* likewise; NULL when read-only */
    const char *source;          /* as the user gave it: shown in /proc/mounts */
    const char *mountpoint;      /* absolute, resolved */
    const char *options;         /* further libfuse mount options, comma-separated; may be NULL */
    bool allow_other;
};

struct mount;

/* Mounts. When this returns 0 the kernel knows the file system and requests wait for mount_serve.
 * One line in FAILURE otherwise. */
int mount_open(const struct mount_config *config, struct mount **ret, struct failure *failure);

/* Serves requests with several threads until the file system is unmounted, by whomever, or until
 * SIGTERM, SIGINT or SIGHUP (which must be blocked in every thread): then the kernel's dirty pages
 * are first handed over and committed, and the file system unmounted. 0 or negative errno.
 */
int mount_serve(struct mount *m);

/* Did the session end by a signal while files were still open for writing? Then what is committed
 * is a moment in the middle of their users' work. After mount_serve. */
bool mount_was_busy(const struct mount *m);

/* Has the kernel hand over all changes that it still holds, so that a commit that follows takes
 * them. While mount_serve serves; not from one of its threads. 0; -ENOTCONN when it is not
 * mounted any more; or the error of a write. */
int mount_flush(struct mount *m);

/* Is any file open for writing? */
bool mount_in_use(const struct mount *m);

/* Appends what `.isrfs/status` shows: a JSON object with the members state ("mounted"), source,
 * server, user, parcel, uuid, src, base_version, state_path, mountpoint, pid, read_only, changed
 * (is there anything committed that is not published?), files, bytes, dirty_bytes, cached_bytes,
 * log_bytes, log_objects. */
int mount_status(struct mount *m, struct buffer *out);

/* Unmounts if it is still mounted and releases all. NULL is allowed. */
void mount_close(struct mount *m);

#endif
