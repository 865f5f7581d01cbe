/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of an open parcel, for the files of this folder only.
 *
 * Lock order (never take an earlier one while holding a later one):
 *   1. flush token not a mutex: one flusher at a time (p->flush_lock is a leaf)
 *   2. gate        not a mutex: writers are counted, a flusher waits for them to end (gate.lock
 * is a leaf)
 *   3. p->names    the tree of names, the table of files, reference counts
 *   4. f->lock     one file's size, times, changed chunks, holes
 *   5. p->dirty_lock, and the leaf locks inside keyring, chunk cache, log, pool, losses
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
#include "isrfs/parcel/losses.h"
#include "isrfs/parcel/parcel.h"
#include "isrfs/parcel/ref_slots.h"
#include "isrfs/parcel/spill.h"

#define BLOCK_SIZE 4096u

/* Where a block lies in the site log. */
struct block_at {
    struct log_at at; /* of the record */
    unsigned slot;    /* the block's number in that record */
};

/* A chunk that differs from what keyring and holes say. Its base is `ref` if it has one, else what
 * they say; its `own` blocks were written since. See dirty.c. */
struct dirty {
    uint64_t index;
    struct file *file;
    struct object_ref *ref; /* f->lock; from p->refs; in the log, not yet in the keyring; or NULL */
    uint8_t *data;          /* f->lock, but immutable while `busy`; from p->buffers; or NULL */
    struct block_at *where; /* f->lock; for each block, meaningful for own ones that are logged */
    bool busy;              /* f->lock; being logged or encoded: not to be changed */
    bool complete;          /* f->lock; the blocks of `data` that are not own are the base's */
    unsigned own, unlogged; /* f->lock; how many bits are set */
    struct dirty *prev, *next;         /* p->dirty_lock; those with `data`, oldest first */
    struct dirty *log_prev, *log_next; /* p->dirty_lock; those with unlogged blocks */
    UT_hash_handle hh;
    uint64_t bits[]; /* f->lock; own blocks, then unlogged ones: a bit each */
};

/* A file or folder. */
struct file {
    struct parcel *parcel;
    uint64_t file_id;
    bool is_folder, is_volatile;
    bool recovered;      /* while opening only; it is counted */
    bool is_stale;       /* with the token; see volatile.c */
    uint32_t chunk_size; /* 0 for a folder */
    struct keyring *keyring;
    struct file *run; /* a volatile file's layer above, constant once it is there; see volatile.c */
    struct file *below;  /* of such a layer: the file */
    struct spill *spill; /* of such a layer: lock; constant once it is there */

    struct file *parent;   /* p->names; NULL for the root and for what was unlinked */
    char *name;            /* p->names */
    struct file *children; /* p->names; hashed by name through hh_name */
    uint64_t references;   /* p->names; the kernel's and those of calls under way */
    bool unlinked;         /* p->names */
    UT_hash_handle hh_id, hh_name;

    pthread_mutex_t lock;
    pthread_cond_t idle;                /* a chunk's `busy` has ended */
    unsigned mode;                      /* lock */
    uint64_t size;                      /* lock */
    struct timespec mtime, ctime;       /* lock */
    struct dirty *dirty;                /* lock; by index */
    struct holes holes;                 /* lock; over the keyring and below `dirty` */
    uint64_t generation;                /* lock; grows when the base of any chunk changes */
    bool attr_unlogged;                 /* lock; size, mode or mtime: it is in p->attr_list */
    struct file *attr_prev, *attr_next; /* p->dirty_lock */
    uint64_t read_next;                 /* lock; index after the last chunk read */
    uint64_t prefetch_end;              /* lock; decoded ahead up to here */
    unsigned read_streak;               /* lock; reads in a row that went on where the last ended */
};

/* A chunk that a commit will need the base of. */
struct wanted_base {
    uint64_t file_id, index;
};

#define FETCH_RING 256u

/* See fetch.c. */
struct fetcher {
    struct wanted_base ring[FETCH_RING];
    unsigned head, used;
    bool running, ending;
    int64_t resume; /* of clock_ms; nothing is fetched before */
};

struct parcel {
    struct parcel_config config;
    struct chunk_buffers *buffers;
    struct chunk_cache *cache;
    struct ref_slots *refs;

    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned writers; /* lock */
        bool frozen;      /* lock */
    } gate;

    pthread_mutex_t flush_lock;
    pthread_cond_t flush_changed;
    bool flush_busy;        /* flush_lock; the token */
    struct store *overflow; /* with the token */
    int (*room)(void *ctx); /* constant while calls are under way */
    void *room_ctx;
    bool (*given_up)(void *ctx); /* likewise */
    void *given_up_ctx;
    bool half_committed; /* with the token; keyrings have what no root names: no batch fits any more
                          */

    pthread_mutex_t names;
    struct file *files; /* names; by file id through hh_id */
    struct file *root;
    uint64_t next_file_id; /* names */

    pthread_mutex_t dirty_lock;
    struct dirty *dirty_list; /* dirty_lock; with data in memory, oldest first */
    struct dirty *log_list;   /* dirty_lock; with blocks that are not in the log */
    struct file *attr_list;   /* dirty_lock; with attributes that are not in the log */
    bool consistent;          /* with the token; as the last batch or commit said, */
    uint64_t said_at;         /* and the number of changes until that */
    struct buffer catalog;   /* with the token; the object that was opened, which the log has not */
    struct object_id opened; /* its id */
    bool noting;             /* constant after opening: changes are to be logged */
    struct ops *ops;         /* dirty_lock; what was done and is not in the log, in order */
    size_t dirty_bytes;      /* dirty_lock; memory of all in dirty_list */

    pthread_mutex_t prefetch_lock;
    pthread_cond_t prefetch_done;
    unsigned prefetching;   /* prefetch_lock; jobs under way */
    struct fetcher fetcher; /* prefetch_lock */

    _Atomic uint64_t changes;
    uint64_t missing;                  /* while opening; records of the log that were announced */
    struct losses *losses;             /* NULL without salvage */
    struct parcel_recovered recovered; /* constant after opening */
};

/* parcel.c */

/* Begins a change: waits while the parcel is frozen. -EROFS for a read-only parcel. */
int parcel_gate_enter(struct parcel *p);
void parcel_gate_leave(struct parcel *p);
/* As the flusher: waits until no change is under way, and holds back new ones. */
void parcel_gate_close(struct parcel *p);
void parcel_gate_open(struct parcel *p);

/* names.c */

/* With p->names held: the file with that id, or NULL. */
struct file *file_find(struct parcel *p, uint64_t file_id);
/* With p->names held. */
void file_attr(struct file *f, struct parcel_attr *ret);
/* The file with a reference for the caller, or NULL. */
struct file *file_get(struct parcel *p, uint64_t file_id);
/* Gives a reference back; an unlinked file goes with its last one. */
void file_put(struct file *f);
/* A regular file, likewise: -ENOENT, -EISDIR. */
int file_get_regular(struct parcel *p, uint64_t file_id, struct file **ret);
/* With p->names held: puts a new file below PARENT (NULL: the root itself). Its name is copied.
 * -ENOMEM. */
int file_new(struct parcel *p, struct file *parent, const char *name,
             const struct catalog_entry *entry, struct file **ret);
/* With p->names held: the child of that name, or NULL. May NAME be made in FOLDER? Gives F another
 * folder and name (taken over). Takes F's name away: it lives on if it has references (NULL), else
 * it is the caller's to free without the lock. */
struct file *file_child(struct file *folder, const char *name);
int file_check_new_name(const struct file *folder, const char *name);
void file_move(struct file *f, struct file *folder, char *name);
struct file *file_take_name(struct parcel *p, struct file *f);
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
/* The one at INDEX, not busy, made if it is missing, with its own blocks in memory. Lets go of the
 * lock while it waits or reads the log. 0, -ENOMEM, -EIO (logged). */
int dirty_writable(struct file *f, uint64_t index, struct dirty **ret);
/* Makes a new one without data: what replaying finds. NULL: no memory. */
struct dirty *dirty_add(struct file *f, uint64_t index);
/* Takes it out of table and lists and frees it and its data. */
void dirty_remove(struct dirty *d);
/* Are these blocks to be had from its data? */
bool dirty_has(const struct dirty *d, unsigned first_block, unsigned last_block);
/* Gets evicted blocks back into memory, without the lock: look again afterwards. 0, -ENOMEM, -EIO
 * (logged). */
int dirty_load(struct file *f, uint64_t index);
bool dirty_own(const struct dirty *d, unsigned block);
bool dirty_unlogged(const struct dirty *d, unsigned block);
/* These blocks were written (to its data, or by another process: LOGGED). */
void dirty_set_own(struct dirty *d, unsigned first_block, unsigned last_block, bool logged);
/* None of its blocks has to be logged any more. */
void dirty_set_logged(struct dirty *d);
/* Gives its data to the caller, who has it in the log as REF (a slot that it takes over): no block
 * is its own any more. */
uint8_t *dirty_settle(struct dirty *d, struct object_ref *ref);
/* Forgets its data; all of its own blocks must be logged. */
void dirty_evict(struct dirty *d);
void dirty_end_busy(struct dirty *d);
/* Removes all from index FIRST to LAST - 1, waiting for those that are busy (the lock is let go
 * meanwhile). */
void dirty_drop(struct file *f, uint64_t first, uint64_t last);
/* Makes the chunk at INDEX complete if it has own blocks, fetching them and its base without the
 * lock. 0 also if there is none meanwhile; -EIO (logged). */
int dirty_complete(struct file *f, uint64_t index);

/* ops.c; with p->dirty_lock NOT held, in whatever lock orders the change among others */

enum op_type {
    OP_CREATE = 1,
    OP_NAME,
    OP_UNLINK,
    OP_ATTR,
    OP_HOLES,
    OP_CHUNK,
    OP_MOMENT,
    OP_BLOCKS, /* the batch has a record of these blocks */
};

/* Some blocks of one chunk. */
#define BLOCK_SET_MAX (CHUNK_SIZE_MAX / BLOCK_SIZE / 8) /* bytes */
struct block_set {
    size_t size;                 /* bytes of BITS that mean something */
    uint8_t bits[BLOCK_SET_MAX]; /* block i is bit i % 8 of byte i / 8 */
};

/* Something that was done. Which fields mean something depends on the type. */
struct op {
    enum op_type type;
    uint64_t file_id;
    uint64_t first, last;     /* HOLES: FIRST to LAST - 1; CHUNK, BLOCKS: FIRST */
    uint64_t folder;          /* CREATE, NAME */
    char *name;               /* CREATE, NAME; owned */
    bool is_folder;           /* CREATE */
    bool is_volatile;         /* CREATE */
    bool consistent;          /* MOMENT: nothing was running when the batch was written */
    uint32_t chunk_size;      /* CREATE */
    unsigned mode;            /* ATTR */
    uint64_t size;            /* ATTR */
    struct timespec mtime;    /* ATTR */
    struct object_ref *ref;   /* CHUNK, when it is encoded or was decoded; not owned */
    struct block_set *blocks; /* BLOCKS, likewise */
};

struct ops {
    struct op *ops; /* owned */
    size_t count, room;
};

/* Notes OP for the next batch; takes its name over (also on error). Nothing for a read-only parcel,
 * or while it is replayed. -ENOMEM. */
int ops_note(struct parcel *p, struct op op);
/* Takes all that were noted, and puts them back in front of what came since. */
struct ops *ops_take(struct parcel *p);
void ops_put_back(struct parcel *p, struct ops *ops);
void ops_free(struct ops *ops);
/* One op as bytes, and back from bytes that nobody vouches for (the name is the caller's then; REF
 * and BLOCKS must point to room for one). 0, -ENOMEM; -EBADMSG. */
int ops_encode(const struct op *op, struct buffer *out);
int ops_decode(struct reader *in, struct op *op);

/* A copy of SIZE bytes of a bitmap, at most BLOCK_SET_MAX: the caller's to free. */
struct block_set *block_set_new(const uint8_t *bits, size_t size);

/* The file's size, mode or mtime has changed. With f->lock held. */
void file_attr_changed(struct file *f);

/* read.c */

/* What a changed chunk's REF (NULL: none), keyring and cache have for a chunk: NULL in *RET for a
 * hole, else to be released. No lock may be held. -EIO (logged); -EHOSTDOWN: the home is away. */
int file_base(struct file *f, uint64_t index, const struct object_ref *ref, struct chunk **ret);

/* The whole chunk into DATA. No lock may be held. As file_base. */
int file_read_chunk(struct file *f, uint64_t index, uint8_t *data);

/* parcel_read as far as it goes without waiting for a home that is away, and so on. */
ssize_t parcel_read_now(struct parcel *p, uint64_t file_id, void *data, size_t size,
                        uint64_t offset);
ssize_t parcel_read_view_now(struct parcel *p, uint64_t file_id, void *room, size_t size,
                             uint64_t offset, struct parcel_view *ret);

/* write.c */

ssize_t parcel_write_now(struct parcel *p, uint64_t file_id, const void *data, size_t size,
                         uint64_t offset);
int parcel_zero_now(struct parcel *p, uint64_t file_id, uint64_t offset, uint64_t size,
                    bool keep_size);
int parcel_truncate_now(struct parcel *p, uint64_t file_id, uint64_t size);
int parcel_seek_now(struct parcel *p, uint64_t file_id, uint64_t offset, bool data, uint64_t *ret);

/* Makes holes of chunks, with f->lock held (let go of while waiting for busy ones). -ENOMEM. The
 * second notes it for the journal. */
int file_punch(struct file *f, uint64_t first, uint64_t last);
int file_punch_noted(struct file *f, uint64_t first, uint64_t last);

/* volatile.c */

/* What is read and changed of a file: a volatile one's layer above. References are to the file. */
static inline struct file *file_top(struct file *f)
{
    return f->run ? f->run : f;
}
static inline struct file *file_owner(struct file *f)
{
    return f->below ? f->below : f;
}
/* Gives a volatile file its layer; all of them. -ENOMEM. */
int volatile_attach(struct file *f);
int volatile_attach_all(struct parcel *p);
/* Reserves space for a layer of SIZE bytes. No lock. -ENOSPC. */
int volatile_reserve(struct file *run, uint64_t size);
/* Moves a layer's chunk out of memory. As the flusher, no lock. */
int volatile_spill(struct file *run, uint64_t index);
/* Reads back the blocks of a chunk that are set in OWN. No lock. */
int volatile_load(struct file *run, uint64_t index, const struct block_at *where,
                  const uint64_t *own, uint8_t *data);
/* Is there one whose bytes are of another moment than the other files? As the flusher, or while the
 * parcel is opened. */
bool volatile_any_stale(struct parcel *p);
/* All layers become part of their files. Frozen, as the flusher; when it fails early nothing has
 * changed. */
int volatile_fold(struct parcel *p);

/* prefetch.c */

/* Says that chunks FIRST to LAST were just read. No lock may be held. */
void prefetch_note(struct file *f, uint64_t first, uint64_t last);
/* Waits until no job is under way. */
void prefetch_drain(struct parcel *p);

/* fetch.c */

/* Says that a part of that chunk was written. No lock may be held. */
void fetch_note(struct file *f, uint64_t index);
/* From now on nothing is begun. */
void fetch_end(struct parcel *p);

/* flush.c */

/* The token of the flusher. */
void flush_token_take(struct parcel *p);
void flush_token_give(struct parcel *p);
/* Before a write: makes room among the changed chunks. 0 or why there is none. No lock, not in the
 * gate. */
int flush_make_room(struct parcel *p);
/* Makes an object of DATA in the log; *RET is a slot of its own, NULL if all is zero. */
int flush_encode_data(struct parcel *p, const struct file *f, const uint8_t *data,
                      struct object_ref **ret);
/* As the flusher: encodes all changed chunks; without WAIT only those that need nothing from the
 * home. */
int flush_all(struct parcel *p, bool wait);
/* Fetches what a changed chunk (LOADED: if it has data in memory) and its commit need. No lock, not
 * the token. As store_get; nothing is logged. */
int flush_fetch(struct file *f, uint64_t index, bool loaded);
/* Puts an object into the log: for keyring_save, with the parcel as CTX. */
int flush_put_object(void *ctx, const struct object_id *id, const void *object, size_t size);
/* Encodes a busy, complete chunk into the log and settles it; ends its being busy. As the flusher,
 * no lock. 0, 1 if it is a hole now, negative errno. */
int flush_encode(struct file *f, uint64_t index);

/* save.c */

/* Fetches the nodes that a commit needs. No lock, not the token. */
int save_fetch(struct parcel *p);

/* blocks.c */

/* Puts the blocks of a chunk that are not in the log (or ALL of its own), which must be in memory,
 * into BATCH; which these are is in *RET, to be freed. As the flusher; the chunk is busy or the
 * parcel frozen. No lock. */
int blocks_put(struct file *f, uint64_t index, uint64_t batch, bool all, struct block_set **ret);

/* journal.c */

/* As parcel_journal, for who is the flusher already. Not frozen, not in the gate. */
int journal_batch(struct parcel *p, bool consistent);
/* Likewise, frozen: is this moment consistent? It is if the caller says so (WANTED; volatile files
 * are folded then) and no memory is older than that, or if nothing was changed since one that was:
 * encoding is no change. */
int journal_moment(struct parcel *p, bool wanted, bool *ret_consistent);
/* A batch, a commit, or what was opened says this of the moment. */
void journal_said(struct parcel *p, bool consistent, uint64_t changes);
/* Attributes need not be logged any more. Frozen, as the flusher. */
void journal_forget_attrs(struct parcel *p);

/* replay.c */

/* Does again what the log has beyond its newest root. As parcel_open. */
int replay_log(struct parcel *p);
/* The chunk is that object now, which the keyring does not know. With f->lock held or as
 * parcel_open. */
int replay_settle(struct file *f, uint64_t index, const struct object_ref *ref);

/* salvage.c; only with p->losses */

/* Puts back, of the files in CATALOG, what the base has where they cannot be read. As parcel_open.
 */
int salvage_tree(struct parcel *p, const struct catalog *catalog);
/* Is the object not to be had any more? 1, 0, or negative errno: nobody knows. */
int salvage_is_gone(struct parcel *p, const struct object_id *id);
/* Is a chunk's base, as file_base takes it, damaged or missing? No lock. */
bool salvage_base_is_gone(struct file *f, uint64_t index, const struct object_ref *changed);
/* Notes that all but the own blocks of a chunk are zeros now. With f->lock held. */
int salvage_note_base(const struct dirty *d);
/* The keyring could not be changed at INDEX for that ERROR: drops what stands in the way and notes
 * it. 0, or ERROR if that is not it. As the flusher, frozen, no lock. */
int salvage_node(struct file *f, uint64_t index, int error);

#endif
