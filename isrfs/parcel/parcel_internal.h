/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of an open parcel, for the files of this folder only.
 *
 * Lock order (never take an earlier one while holding a later one):
 *   1. gate        not a mutex: writers are counted, a commit waits until there are none (gate.lock
 * is a leaf)
 *   2. flush token not a mutex: one flusher at a time (p->flush_lock is a leaf)
 *   3. p->names    the tree of names, the table of files, reference counts
 *   4. f->lock     one file's size, times, changed chunks, holes
 *   5. p->dirty_lock, and the leaf locks inside keyring, chunk cache, log, pool
 * None of them is held while a store is read or written or a chunk is encoded or decoded. */
#ifndef ISRFS_PARCEL_PARCEL_INTERNAL_H
#define ISRFS_PARCEL_PARCEL_INTERNAL_H

#include <stdatomic.h>

#include <uthash.h>
#include <utlist.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/keyring/keyring.h"
#include "isrfs/parcel/chunk_cache.h"
#include "isrfs/parcel/holes.h"
#include "isrfs/parcel/parcel.h"

#define BLOCK_SIZE 4096u

/* A chunk that was changed and is not yet in the log. Its base is what keyring and holes say. */
struct dirty {
    uint64_t index;
    struct file *file;
    uint8_t *data; /* chunk_size bytes, from p->buffers; f->lock, but immutable while `flushing` */
    bool flushing; /* f->lock; being encoded: complete, and not to be changed */
    unsigned
        valid_count; /* f->lock; blocks of `data` that say something; the others are the base's */
    struct dirty *prev, *next; /* p->dirty_lock; oldest first */
    UT_hash_handle hh;
    uint64_t valid[]; /* f->lock; a bit for each block */
};

/* A file or folder. */
struct file {
    struct parcel *parcel;
    uint64_t file_id;
    bool is_folder, is_volatile;
    uint32_t chunk_size; /* 0 for a folder */
    struct keyring *keyring;

    struct file *parent;   /* p->names; NULL for the root and for what was unlinked */
    char *name;            /* p->names */
    struct file *children; /* p->names; hashed by name through hh_name */
    uint64_t references;   /* p->names; the kernel's and those of calls under way */
    bool unlinked;         /* p->names */
    UT_hash_handle hh_id, hh_name;

    pthread_mutex_t lock;
    pthread_cond_t flushed;       /* a `flushing` has ended */
    unsigned mode;                /* lock */
    uint64_t size;                /* lock */
    struct timespec mtime, ctime; /* lock */
    struct dirty *dirty;          /* lock; by index */
    struct holes holes;           /* lock; over the keyring and below `dirty` */
    uint64_t generation;          /* lock; grows when the base of any chunk changes */
    uint64_t read_next;           /* lock; index after the last chunk read */
    uint64_t prefetch_end;        /* lock; decoded ahead up to here */
    unsigned read_streak;         /* lock; reads in a row that went on where the last ended */
};

struct parcel {
    struct parcel_config config;
    struct chunk_buffers *buffers;
    struct chunk_cache *cache;

    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned writers; /* lock */
        bool frozen;      /* lock */
    } gate;

    pthread_mutex_t flush_lock;
    pthread_cond_t flush_changed;
    bool flush_busy; /* flush_lock; the token */

    pthread_mutex_t names;
    struct file *files; /* names; by file id through hh_id */
    struct file *root;
    uint64_t next_file_id; /* names */

    pthread_mutex_t dirty_lock;
    struct dirty *dirty_list; /* dirty_lock; oldest first */
    size_t dirty_bytes;       /* dirty_lock; memory of all in the list */

    pthread_mutex_t prefetch_lock;
    pthread_cond_t prefetch_done;
    unsigned prefetching; /* prefetch_lock; jobs under way */

    _Atomic uint64_t changes;
};

/* parcel.c */

/* Begins a change: waits while the parcel is frozen. -EROFS for a read-only parcel. */
int parcel_gate_enter(struct parcel *p);
void parcel_gate_leave(struct parcel *p);

/* names.c */

/* With p->names held: the file with that id, or NULL. */
struct file *file_find(struct parcel *p, uint64_t file_id);
/* With p->names held. */
void file_attr(struct file *f, struct parcel_attr *ret);
/* The file with a reference for the caller, or NULL. */
struct file *file_get(struct parcel *p, uint64_t file_id);
/* One more reference to a file that the caller has one to. */
void file_put(struct file *f);
/* A regular file, likewise: -ENOENT, -EISDIR. */
int file_get_regular(struct parcel *p, uint64_t file_id, struct file **ret);
/* With p->names held: puts a new file below PARENT (NULL: the root itself). Its name is copied.
 * -ENOMEM. */
int file_new(struct parcel *p, struct file *parent, const char *name,
             const struct catalog_entry *entry, struct file **ret);
/* Frees a file and its changed chunks; it must be in no table. */
void file_free(struct file *f);
/* The path of a file for messages and the catalog: the caller's; NULL: no memory. */
char *file_path(struct file *f);
/* With p->names held. */
char *file_path_locked(struct file *f);
struct timespec file_now(void);

static inline void cleanup_file(struct file **f)
{
    if (*f)
        file_put(*f);
}
#define CLEANUP_FILE CLEANUP(cleanup_file)

/* dirty.c; all with f->lock held */

static inline unsigned file_blocks(const struct file *f)
{
    return f->chunk_size / BLOCK_SIZE;
}
struct dirty *dirty_find(struct file *f, uint64_t index);
/* A new one of which no block is valid. NULL: no memory. */
struct dirty *dirty_add(struct file *f, uint64_t index);
/* Takes it out of table and list and frees it; its bytes too, unless TAKE_DATA gets them. */
void dirty_remove(struct dirty *d, uint8_t **take_data);
bool dirty_valid(const struct dirty *d, unsigned first_block, unsigned last_block);
void dirty_set_valid(struct dirty *d, unsigned first_block, unsigned last_block);
/* Fills every block that is not valid from BASE (NULL: zeros). */
void dirty_merge(struct dirty *d, const uint8_t *base);
/* Removes all from index FIRST to LAST - 1, waiting for those being flushed (the lock is let go
 * meanwhile). */
void dirty_drop(struct file *f, uint64_t first, uint64_t last);
/* Makes the chunk at INDEX complete if it is there, fetching its base without the lock. 0 also if
 * it is gone meanwhile; -EIO (logged). */
int dirty_complete(struct file *f, uint64_t index);

/* read.c */

/* What keyring and cache have for a chunk: NULL in *RET for a hole, else to be released. No lock
 * may be held. -EIO (logged). */
int file_base(struct file *f, uint64_t index, struct chunk **ret);

/* prefetch.c */

/* Says that chunks FIRST to LAST were just read. No lock may be held. */
void prefetch_note(struct file *f, uint64_t first, uint64_t last);
/* Waits until no job is under way. */
void prefetch_drain(struct parcel *p);

/* flush.c */

/* Before a write: makes room among the changed chunks. 0 or why there is none. No lock, not in the
 * gate. */
int flush_make_room(struct parcel *p);

#endif
