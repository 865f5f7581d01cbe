/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A folder store that another process works on, so that this one makes no system call on a network
 * or FUSE file system, whose callers the kernel may hold for ever, beyond SIGKILL (DESIGN 5).
 *
 * The calls are those of any store, each with a time limit. What is different:
 *
 * -EHOSTDOWN is the one answer for all that keeps the home from answering: the limit has passed,
 * the child process was lost, or the store is offline (then at once). The call may be repeated; as
 * soon as the home answers again, calls succeed again, without reopening. Whether a put, remove or
 * barrier with that result took effect is unknown. What was put since the last good barrier is lost
 * with the child that put it: store_barrier then fails with -EHOSTDOWN until each object and record
 * has been put again (or removed), as a folder store's does after a failed one. */
#ifndef ISRFS_STORE_REMOTE_H
#define ISRFS_STORE_REMOTE_H

#include "isrfs/store/folder.h"

/* Children that may hang at a time; beyond them at most one that tries whether the home answers. */
#define REMOTE_HANGING_MAX 4u

struct remote_config {
    const char *path; /* absolute; copied */
    const char *uuid; /* as for folder_open. Copied. The first marker that is seen is held to */
    bool read_only;
    struct codec *codec;              /* must outlive the store */
    struct counters *counters;        /* may be NULL; must outlive the store */
    const enum folder_fanout *create; /* make a store in an empty or missing folder first, as
                                       * folder_create; one that is there is good too. NULL: no */
    bool later;                       /* not with CREATE: it need not be there yet, and is opened by
                                       * the first call that finds it */
    unsigned limit_ms;                /* for each call, also to open the folder; 0: 30 s */
    unsigned barrier_limit_ms;        /* for a barrier; 0: 300 s */
    unsigned probe_ms;                /* between tries while offline; 0: 2 s */
    unsigned workers;                 /* requests at a time, at most 64; 0: 16 */
    const char *program; /* the child's; NULL: isrfs-store-child as installed. Copied */
};

/* Opens the store. Errors as folder_open, -EHOSTDOWN also when the folder does not answer within
 * the limit; -EINVAL for a path that is not absolute or too long; -EAGAIN, -EMFILE, ... as the
 * system says, when no process or thread can be had. */
int remote_open(const struct remote_config *config, struct store **ret);

/* store_free ends the child and waits up to a second for it. One that hangs in the kernel is left
 * behind; it ends as soon as the kernel lets it, having done nothing more, and stays a zombie of
 * this process. */

/* How many of the store's children hang at the moment (those that were given up and still exist).
 */
unsigned remote_hanging(struct store *s);

/* Was it made by remote_open? */
bool remote_is(const struct store *s);

/* The uuid that its marker shows. */
const char *remote_uuid(struct store *s);

/* Ends the calls that are under way, with -EHOSTDOWN; what was put since the last good barrier is
 * lost as with a child. Later calls are served. For who cannot wait for a home that hangs. */
void remote_interrupt(struct store *s);

/* PATH (absolute) without dots, and without symlinks as far as it lies on local file systems: what
 * lies beyond is not asked. The caller's. 0, -ENAMETOOLONG, -ELOOP, ... */
int remote_resolve(const char *path, char **ret);

/* Must PATH be worked on by another process? False only if it lies, symlinks resolved, on a local
 * file system (ext*, xfs, btrfs, f2fs, tmpfs, overlay); true also if that cannot be found out. No
 * call is made on any other file system, so this never hangs. */
bool remote_is_needed(const char *path);

#endif
