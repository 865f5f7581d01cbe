/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The site log: everything of this check-out that is not yet safe at home, in encrypted append-only
 * segments (DESIGN 6; the bytes are in doc/format.md). It is a store (objects are put into it and
 * read from it) that also keeps root records: which catalog is this site's newest state.
 *
 * Any thread may call, except open and close. Calls block on the disk of this site. */
#ifndef ISRFS_PARCEL_SITE_LOG_H
#define ISRFS_PARCEL_SITE_LOG_H

#include "isrfs/base/counters.h"
#include "isrfs/codec/codec.h"
#include "isrfs/store/store.h"

struct site_log;

struct site_log_config {
    int dirfd;                  /* of the parcel's folder at this site; must stay open */
    const char *folder;         /* "log", made when it is missing; copied */
    const uint8_t *session_key; /* 32 bytes, SESSION; copied into secret memory */
    const char *identity;       /* "<uuid> <nonce>": what the keys are bound to; copied */
    struct codec *codec;
    struct counters *counters;
    bool salvage; /* read what can be read of a damaged log; site_log_damage says what cannot */
    bool give_up; /* with SALVAGE: what cannot be read is not to be asked for again */
};

/* A state of the parcel at this site. */
struct site_root {
    uint64_t base_version;        /* the published version that it goes back to */
    struct object_ref base;       /* that version's catalog */
    struct object_ref current;    /* this site's newest committed catalog */
    struct object_ref publishing; /* fixed by a check-in that has begun; a hole: none */
    bool consistent; /* was the VM stopped (or nothing mounted) when CURRENT was committed? */
    bool publishing_consistent; /* likewise for PUBLISHING */
    uint64_t contains; /* batches up to this number are in CURRENT; later ones are to be replayed */
    bool partial; /* CURRENT is whole only with batch CONTAINS + 1, which stands before the root
                   * and is ended by it */
};

/* What opening found. */
struct site_log_found {
    uint64_t segments, objects, bytes, roots;
    uint64_t batches;    /* that the newest root does not contain */
    uint64_t torn_bytes; /* after the last good record of a segment, where a crash may leave them */
    int64_t written; /* when the newest segment was last written, seconds since 1970; 0: never */
};

/* Records that were on disk, and cannot be read. */
struct log_damage {
    uint64_t segment, record; /* the first; the segment's file is log/<16 hexadecimal digits> */
    uint64_t records;         /* how many; 0: the segment is not readable, and nothing says */
    int64_t written;          /* when the segment was last written; 0: not known */
    bool newer;               /* than the newest root: no object alone, perhaps, but a change */
};

/* Opens the log and reads what is in it. New records go to a segment of their own. -EBADMSG: a
 * record that was flushed is damaged, a segment is missing, or the session key is wrong (one line
 * is logged that says which). With SALVAGE only if no segment can be read. *FOUND may be NULL. */
int site_log_open(const struct site_log_config *config, struct site_log **ret,
                  struct site_log_found *found);

/* What SALVAGE has passed over, in order; the log's. */
size_t site_log_damage(struct site_log *l, const struct log_damage **ret);

/* Closes without flushing. NULL is allowed. */
void site_log_close(struct site_log *l);

/* The log as a store: put appends (an object that is there is not put twice), get reads back,
 * barrier is site_log_flush. Owned by the log. */
struct store *site_log_store(struct site_log *l);

/* Appends a root record; it counts when site_log_flush has returned. 0, -ENOSPC, -EIO, ... */
int site_log_put_root(struct site_log *l, const struct site_root *root);

/* Batches: what was done to files that the newest root does not contain, for replaying. A batch is
 * all its records or nothing: records of operations and of blocks, in any order, the last one
 * marked as the end (or followed by a partial root, which is its end). One thread at a time; begin
 * makes a number that no other batch has. An unfinished batch is simply never replayed. */
uint64_t site_log_begin_batch(struct site_log *l);
/* The highest number that was given so far. */
uint64_t site_log_last_batch(struct site_log *l);

/* Where a record of blocks is; opaque but for comparing. */
struct log_at {
    const void *segment;
    uint64_t offset, record;
};

/* Blocks of 4 KiB of one chunk. BITMAP has a bit for each block of the chunk (BITMAP_SIZE bytes, at
 * most 128), DATA those whose bit is set, in order. */
struct log_blocks {
    uint64_t file_id, index;
    const uint8_t *bitmap;
    size_t bitmap_size;
    const uint8_t *data;
    unsigned count; /* bits set */
};

/* PARTS are COUNT pointers to the blocks (BLOCKS->data is not used). */
int site_log_put_blocks(struct site_log *l, uint64_t batch, bool end,
                        const struct log_blocks *blocks, const uint8_t *const *parts,
                        struct log_at *ret);

/* SIZE bytes of operations (at most 4 MiB); their meaning is the caller's. */
int site_log_put_operations(struct site_log *l, uint64_t batch, bool end, const void *data,
                            size_t size);

/* Reads a record of blocks into BUFFER, which RET points into. -EBADMSG. */
int site_log_read_blocks(struct site_log *l, const struct log_at *at, struct buffer *buffer,
                         struct log_blocks *ret);

/* Calls the functions with what the whole batches hold that the newest root does not contain, as it
 * was found when the log was opened: for each batch first its operations, then its blocks (whose
 * DATA is not to be kept), until one returns other than 0, and returns that. LOST (may be NULL
 * without salvage) says that the operations of a batch are not to be had, or a commit: changes
 * without a name. */
struct log_replayer {
    int (*lost)(void *ctx);
    int (*operations)(void *ctx, const void *data, size_t size);
    int (*blocks)(void *ctx, const struct log_blocks *blocks, const struct log_at *at);
    void *ctx;
};
int site_log_replay(struct site_log *l, const struct log_replayer *replayer);

/* Makes everything durable that was appended before the call, or found when the log was opened. A
 * segment that the disk fails to take is given up and its records go to a new one; an error means
 * that this failed too, and may be tried again: nothing is forgotten. */
int site_log_flush(struct site_log *l);

/* The newest root. -ENOENT if there is none. */
int site_log_newest_root(struct site_log *l, struct site_root *ret);

/* Bytes of all segments; and objects in them. */
uint64_t site_log_bytes(struct site_log *l);
void site_log_usage(struct site_log *l, uint64_t *ret_bytes, uint64_t *ret_objects);

/* Calls FN with each object's id until it returns other than 0, and returns that. FN may call
 * store_get. */
int site_log_each_object(struct site_log *l, int (*fn)(void *ctx, const struct object_id *id),
                         void *ctx);

/* Trimming while the log is used. A cut begins a new segment and gives its number (if this thread
 * is urgent and there is no space for one at all, the cut is before the last segment that there
 * is); from then on an object that lies before it is put again when it is put. When a root that was
 * put after the cut has everything that was done before it, and every object that this root reaches
 * and that lies before the cut can be had elsewhere, durably, site_log_drop removes the segments
 * before the cut. For one thread at a time. */
int site_log_cut(struct site_log *l, uint64_t *ret_boundary);
int site_log_drop(struct site_log *l, uint64_t boundary);
/* Is the newest root before the last cut? Then nothing can be dropped (-EAGAIN), even if nothing
 * has changed since: a commit has to put it again. */
bool site_log_needs_root(struct site_log *l);

/* While the log is open, the space of one segment is set aside. URGENT: this thread may use it, and
 * no other, because what it appends now leads to space becoming free. One thread at a time. */
void site_log_set_urgent(struct site_log *l, bool urgent);

/* Begins anew with ROOT alone in it: for when everything that ROOT reaches is safe at home. The
 * older segments are removed once the new one is durable. */
int site_log_restart(struct site_log *l, const struct site_root *root);

/* Removes the log's folder and all in it: for when the check-out has ended. Any state is accepted.
 */
int site_log_remove(int dirfd, const char *folder);

#endif
