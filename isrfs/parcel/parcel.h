/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An open parcel: its files as the mount shows them, read through the stores and changed in memory
 * until a commit writes them to the site log.
 *
 * Files are named by their persistent file id; CATALOG_ROOT is the root folder. Any number of
 * threads may call. Calls may block on stores; those that change something also wait while the
 * parcel is frozen. Results: 0 (or a count) or negative errno as the system call of that name
 * gives. -EROFS for every change to a parcel that was opened without a log. */
#ifndef ISRFS_PARCEL_PARCEL_H
#define ISRFS_PARCEL_PARCEL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "isrfs/base/counters.h"
#include "isrfs/base/pool.h"
#include "isrfs/codec/codec.h"
#include "isrfs/parcel/catalog.h"
#include "isrfs/parcel/site_log.h"
#include "isrfs/store/home_watch.h"
#include "isrfs/store/store.h"

struct parcel;

/* All that is pointed to must outlive the parcel. */
struct parcel_config {
    struct codec *codec;
    struct store *store;                /* where objects are read: the whole stack */
    struct site_log *log;               /* where changes go; NULL: read-only */
    const struct object_secret *secret; /* for what is written; may be NULL when read-only */
    struct pool *pool;                  /* decodes ahead and encodes side by side */
    struct counters *counters;
    size_t cache_bytes; /* decoded chunks kept in memory; 0: 128 MiB */
    size_t dirty_bytes; /* changed chunks held back in memory; 0: twice that, <= 256 MiB */
    bool consistent;    /* nothing was running when the catalog's state was committed */
    int state_fd;       /* the folder at this site where volatile files may spill; 0: they do not */
    unsigned prefetch_chunks; /* how far to decode ahead of a sequential reader; 0: 32 */
    struct home_watch *watch; /* of the home in the stack; NULL: nobody waits for it */
    unsigned home_wait_ms;    /* how long a call waits for what is at home while that is away */
    bool salvage; /* give up what is damaged or missing (parcel_each_loss says what) instead of
                     failing: what was there before takes its place, or zeros */
    const struct object_ref *base; /* with SALVAGE: the catalog that the site's changes go back to
                                      (read while opening); may be NULL */
};

/* For home_wait_ms. Calls on volatile files wait so long in any case. */
#define PARCEL_WAIT_FOR_EVER UINT_MAX

struct parcel_attr {
    uint64_t file_id;
    bool is_folder;
    unsigned mode; /* permission bits */
    unsigned links;
    uint64_t size;       /* bytes */
    uint32_t chunk_size; /* bytes; 0 for a folder */
    struct timespec mtime, ctime;
};

/* Opens the state that CATALOG names, and does again what the log has beyond it (parcel_changes is
 * not 0 then). -EBADMSG: it does not open or breaks a rule; or as store_get.
 */
int parcel_open(const struct parcel_config *config, const struct object_ref *catalog,
                struct parcel **ret);
/* What opening found in the log beyond CATALOG. */
struct parcel_recovered {
    uint64_t changes; /* to names, and runs of blocks */
    uint64_t files;   /* that were changed */
    uint64_t bytes;   /* that were written */
};
void parcel_recovered(struct parcel *p, struct parcel_recovered *ret);

/* With SALVAGE: what was given up so far, ordered by file and place, until FN returns other than 0.
 * A commit may find more. */
struct parcel_loss {
    const char *path; /* NULL: its name is lost as well */
    uint64_t file_id, offset, size;
    bool zeros; /* zeros take its place; else what was there before this site wrote */
};
int parcel_each_loss(struct parcel *p, int (*fn)(void *ctx, const struct parcel_loss *loss),
                     void *ctx);
/* How many batches of operations, and commits, are lost of which nothing more is known; and how
 * many records of the log after its newest root are missing of which it is known what they held. */
void parcel_lost(struct parcel *p, uint64_t *ret_operations, uint64_t *ret_records);

/* Calls FN with each file that has changes beyond the opened catalog, and how many bytes. */
int parcel_each_change(struct parcel *p,
                       int (*fn)(void *ctx, const char *path, uint64_t file_id, uint64_t bytes),
                       void *ctx);

/* Forgets everything that was not committed. NULL is allowed. */
void parcel_close(struct parcel *p);

bool parcel_is_read_only(const struct parcel *p);

/* Names. lookup, create and mkdir add one reference to the file for their caller, who gives it back
 * with parcel_forget: an unlinked file lives on until then. */
int parcel_lookup(struct parcel *p, uint64_t folder, const char *name, struct parcel_attr *ret);
int parcel_create(struct parcel *p, uint64_t folder, const char *name, unsigned mode,
                  struct parcel_attr *ret);
int parcel_mkdir(struct parcel *p, uint64_t folder, const char *name, unsigned mode,
                 struct parcel_attr *ret);
void parcel_forget(struct parcel *p, uint64_t file_id, uint64_t references);
int parcel_unlink(struct parcel *p, uint64_t folder, const char *name);
int parcel_rmdir(struct parcel *p, uint64_t folder, const char *name);
/* Replaces what is there (as rename(2)) unless NO_REPLACE: -EEXIST. */
int parcel_rename(struct parcel *p, uint64_t from_folder, const char *from, uint64_t to_folder,
                  const char *to, bool no_replace);

/* Calls FN for each name in a folder as it was at the call, ordered by name. No lock is held during
 * FN; a return other than 0 ends it and is returned. */
int parcel_each_name(struct parcel *p, uint64_t folder,
                     int (*fn)(void *ctx, const char *name, const struct parcel_attr *attr),
                     void *ctx);
/* The id of the folder that holds this file (the root's is its own). */
int parcel_parent(struct parcel *p, uint64_t file_id, uint64_t *ret);
/* The file at a path with '/' between its parts ("" is the root); no reference is taken. */
int parcel_find(struct parcel *p, const char *path, struct parcel_attr *ret);

int parcel_getattr(struct parcel *p, uint64_t file_id, struct parcel_attr *ret);
int parcel_chmod(struct parcel *p, uint64_t file_id, unsigned mode);
int parcel_set_mtime(struct parcel *p, uint64_t file_id, struct timespec mtime);
int parcel_truncate(struct parcel *p, uint64_t file_id, uint64_t size);

/* What changes or reads a file's bytes may need a part of them from home (reading; truncating and
 * writing where a block of 4 KiB is changed in part; seeking). If that is away they wait as the
 * config says, holding nothing, and go on when it is back; after that -EHOSTDOWN. */

/* GIVEN_UP is asked by calls that wait so, in their threads, as home_watch_patience says; they end
 * with -EINTR. To be set while no call is under way; NULL: they do not give up. */
void parcel_set_given_up(struct parcel *p, bool (*given_up)(void *ctx), void *ctx);

/* Reads up to SIZE bytes; fewer only at the end of the file. -EIO for a range that is missing or
 * damaged (logged with file, chunk and id; never wrong bytes), at once. */
ssize_t parcel_read(struct parcel *p, uint64_t file_id, void *data, size_t size, uint64_t offset);

/* A read without a copy where the bytes lie decoded already. SIZE is at most PARCEL_VIEW_SIZE; ROOM
 * has room for it, takes what must be copied, and must live as long as the view. The view's COUNT
 * PIECES are the bytes in order; they stay as they are until parcel_view_end. Returns bytes or an
 * error as parcel_read; after an error there is nothing to end. */
#define PARCEL_VIEW_SIZE   (1u << 20)
#define PARCEL_VIEW_PIECES (PARCEL_VIEW_SIZE / CHUNK_SIZE_MIN + 1u)
struct parcel_view {
    unsigned count;
    struct iovec pieces[PARCEL_VIEW_PIECES];
    struct chunk *held[PARCEL_VIEW_PIECES]; /* of each piece; NULL: it is in ROOM */
    bool spent[PARCEL_VIEW_PIECES];         /* of each held one: it was read whole */
};
ssize_t parcel_read_view(struct parcel *p, uint64_t file_id, void *room, size_t size,
                         uint64_t offset, struct parcel_view *ret);
void parcel_view_end(struct parcel *p, struct parcel_view *view);

/* Writes all SIZE bytes or fails. */
ssize_t parcel_write(struct parcel *p, uint64_t file_id, const void *data, size_t size,
                     uint64_t offset);
/* Makes zeros of a range; whole chunks become holes. Grows the file to OFFSET + SIZE unless
 * KEEP_SIZE. */
int parcel_zero(struct parcel *p, uint64_t file_id, uint64_t offset, uint64_t size, bool keep_size);
/* Volatile files are the memory of a running machine (catalog_name_is_volatile). What is written to
 * one is kept only by a consistent batch or commit, whole; until then a crash leaves what the last
 * one kept. Writing to one never fails for want of space, which is reserved here when it is opened
 * (-ENOSPC). Nothing for other files. */
bool parcel_is_volatile(struct parcel *p, uint64_t file_id);
int parcel_open_for_writing(struct parcel *p, uint64_t file_id);

/* As SEEK_DATA / SEEK_HOLE, by chunk: -ENXIO beyond the end, or for DATA when there is none. */
int parcel_seek(struct parcel *p, uint64_t file_id, uint64_t offset, bool data, uint64_t *ret);

/* Where a chunk's bytes are. */
enum parcel_place { PARCEL_HOLE, PARCEL_HOME, PARCEL_SITE, PARCEL_MEMORY };
/* The place of the chunk at INDEX, and the end (exclusive index, at most the file's number of
 * chunks) of the run of chunks for which it is known to be the same. -ENXIO beyond the last chunk.
 */
int parcel_place(struct parcel *p, uint64_t file_id, uint64_t index, enum parcel_place *ret_place,
                 uint64_t *ret_end);

/* Writes everything that was changed since the last call to the log (CONSISTENT: nothing is
 * running; then volatile files too), as one batch, which is replayed wholly or not at all when the
 * parcel is opened again; it is durable after site_log_flush. Changes are held back for a moment
 * only. A moment that was consistent is so, whatever the caller says, until something is changed: a
 * batch or commit of the same state takes nothing back. 0; -EAGAIN: a commit has to be finished
 * first; -ENOSPC, -EIO. */
int parcel_journal(struct parcel *p, bool consistent);
/* Was the last batch or commit (also one that was replayed) a consistent one? One that was asked to
 * be is not if the memory of a machine is older than its disk, as a crash leaves it. */
bool parcel_is_consistent(struct parcel *p);

/* Encodes most of what is changed in memory into the log, so that a commit that follows has little
 * to do. With FETCH also what the home is needed for, which is waited for without holding anybody
 * up; it fails if something cannot be had. */
int parcel_settle(struct parcel *p, bool fetch);

/* While OVERFLOW is not NULL, objects are put there instead of into the log, each made durable at
 * once: for a commit on a full disk. Nobody else may put into it meanwhile (store_put_again). */
void parcel_set_overflow(struct parcel *p, struct store *overflow);

/* ROOM is called, in whatever thread needs it and without a lock, when what is changed fits neither
 * into memory nor into the log: 0 if it has made room. */
void parcel_set_room(struct parcel *p, int (*room)(void *ctx), void *ctx);

/* For a commit (sync/commit.h, which is the only caller): freeze waits until no change is under way
 * and holds back new ones; flush turns every changed chunk into objects in the log, saves the
 * keyrings and the catalog that names them, also in the log, and says in ROOT what it is (current,
 * contains, partial); committed says that this root is in the log; thaw lets changes go on.
 * All of it by one thread, flush and committed while frozen; settle and journal wait until it
 * thaws.
 *
 * With ROOT->consistent set (nothing is running; cleared if a volatile file is older than that)
 * volatile files are in it as they are, else as at the last consistent batch or commit; it becomes
 * set if nothing was changed since one.
 *
 * With WAIT everything is taken: flush gives -EHOSTDOWN, with nothing changed, when it needs
 * something from a home that is away. Without WAIT nothing is fetched: what cannot be taken stays
 * in the log as a batch of its own, which the root ends (partial). Between flush and the root no
 * batch may be written. */
void parcel_freeze(struct parcel *p);
void parcel_thaw(struct parcel *p);
int parcel_flush(struct parcel *p, bool wait, struct site_root *root);
void parcel_committed(struct parcel *p);

/* Is there a file that was removed and is still open? Such a file is in no commit. */
bool parcel_has_removed(struct parcel *p);

/* Grows with every change. */
uint64_t parcel_changes(struct parcel *p);

/* Sums over all files: logical bytes; bytes changed in memory and not yet in the log. */
struct parcel_usage {
    uint64_t files, bytes, dirty_bytes, cached_bytes;
};
void parcel_usage(struct parcel *p, struct parcel_usage *ret);

#endif
