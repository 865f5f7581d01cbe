/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of this folder share of a mount. Not for other layers: they use mount.h.
 *
 * Inode numbers are file ids (the root is 1 for the kernel and for the parcel alike), which are
 * never used twice, so there is no table of inodes: the kernel's lookups are the parcel's
 * references. Numbers from VIRTUAL_FIRST on are those of the folder `.isrfs`, which are computed.
 *
 * Locks, in this order: flush_lock (held while the kernel hands over its pages, so that the session
 * cannot end meanwhile), that of handover.c, then those of writers.c and seek.c; all but the first
 * are held for a few instructions.
 */
#ifndef ISRFS_FUSE_FRONT_H
#define ISRFS_FUSE_FRONT_H

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>

#include "isrfs/fuse/askers.h"
#include "isrfs/fuse/mount.h"
#include "isrfs/fuse/writers.h"

#define FRONT_REQUEST_MAX PARCEL_VIEW_SIZE /* bytes of one READ or WRITE */
/* Nobody but this mount changes the files, so the kernel may keep what it knows. */
#define FRONT_TIMEOUT 86400.0

struct handover;
struct seek;
struct watch;

struct mount {
    struct mount_config config; /* its strings are copies */
    struct fuse_session *session;
    uid_t uid; /* who mounted: the owner of every file */
    gid_t gid;
    dev_t device;             /* of this file system */
    pthread_key_t buffer_key; /* each serving thread's buffer for reads */
    bool have_buffer_key;
    bool kernel_waits;       /* can it be had to wait for all its writes to a file? See seek.c */
    bool mounted;            /* as far as mount.c and watch.c have done */
    bool detached;           /* unmounted lazily: the path is no longer ours */
    _Atomic bool busy;       /* ended by a signal while files were open for writing */
    struct writers *writers; /* which files are open for writing */
    _Atomic unsigned open_files; /* files and folders, also for reading */
    pthread_mutex_t flush_lock;
    bool ending; /* flush_lock: requests will not be served any more */
    struct seek *seek;
    struct handover *handover; /* NULL: read-only */
    struct askers *askers;
};

static inline struct mount *front_mount(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

/* Replies with an error; R is 0 or negative errno. A home that is away is an I/O error to programs.
 */
static inline void front_reply(fuse_req_t req, int r)
{
    fuse_reply_err(req, r == -EHOSTDOWN ? EIO : -r);
}

/* What stat(2) shows of a file. */
void front_stat(const struct mount *m, const struct parcel_attr *attr, struct stat *ret);

/* Replies to a lookup, mkdir or mknod, to which ATTR is the parcel's answer; gives the reference
 * back when the kernel has lost interest. */
void front_reply_entry(fuse_req_t req, const struct parcel_attr *attr);
void front_entry(const struct mount *m, const struct parcel_attr *attr,
                 struct fuse_entry_param *ret);

/* This thread's buffer of FRONT_REQUEST_MAX bytes; NULL: no memory. */
void *front_buffer(struct mount *m);
/* The destructor of buffer_key. */
void front_buffer_free(void *buffer);

/* Finds out `device`, without sending a request. To be called once it is mounted. */
int front_find_device(struct mount *m);

/* Opens the root of the mount for a short time (it is busy meanwhile). The descriptor, or -ENOTCONN
 * if something else is there. Not from a thread that serves requests. */
int front_open_root(const struct mount *m);

/* The path of a file below the mountpoint, terminated, each part with its '/'. PATH is empty
 * before. -ENOENT for one that has no name any more. */
int front_path(const struct mount *m, uint64_t file_id, struct buffer *path);

/* mount_flush on the root that ROOT_FD is open on; with flush_lock held. */
int front_flush(struct mount *m, int root_fd);

#endif
