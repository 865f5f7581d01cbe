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
    size_t dirty_bytes; /* changed chunks held back in memory; 0: 256 MiB */
    bool consistent;    /* nothing was running when the catalog's state was committed */
    int state_fd;       /* the folder at this site where volatile files may spill; 0: they do not */
    unsigned prefetch_chunks; /* how far to decode ahead of a sequential reader; 0: 32 */
};

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

/* Reads up to SIZE bytes; fewer only at the end of the file. -EIO for a range that is missing or
 * damaged (logged with file, chunk and id; never wrong bytes). */
/* A volatile file waits for a home that is away, until parcel_end_waits. */
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
/* Reads that wait for the home fail from now on. */
void parcel_end_waits(struct parcel *p);
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
 * only. 0; -EAGAIN: a commit has to be finished first; -ENOSPC, -EIO. */
int parcel_journal(struct parcel *p, bool consistent);
/* Was the last batch (also one that was replayed) a consistent one? One that was asked to be is not
 * if the memory of a machine is older than its disk, as a crash leaves it. */
bool parcel_is_consistent(struct parcel *p);

/* Encodes most of what is changed in memory into the log, so that a commit that follows has little
 * to do. With FETCH also what the home is needed for, which is waited for without holding anybody
 * up; it fails if something cannot be had. */
int parcel_settle(struct parcel *p, bool fetch);

/* For a commit (sync/commit.h, which is the only caller): freeze waits until no change is under way
 * and holds back new ones; flush turns every changed chunk into objects in the log, saves the
 * keyrings and the catalog that names them, also in the log, and says in ROOT what it is (current,
 * contains, partial); committed says that this root is in the log; thaw lets changes go on.
 *
 * With ROOT->consistent set (nothing is running; cleared if a volatile file is older than that)
 * volatile files are in it as they are, else as at the last consistent batch or commit.
 *
 * Without WAIT nothing is fetched: what cannot be taken stays in the log as a batch of its own,
 * which the root ends (partial). Between flush and the root no batch may be written. */
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
