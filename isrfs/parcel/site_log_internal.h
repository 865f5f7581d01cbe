/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of the site log, for the files site_log*.c only. */
#ifndef ISRFS_PARCEL_SITE_LOG_INTERNAL_H
#define ISRFS_PARCEL_SITE_LOG_INTERNAL_H

#include <uthash.h>
#include <utlist.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/parcel/segment.h"
#include "isrfs/parcel/site_log.h"

struct indexed {
    struct object_id id;
    struct log_at at;
    uint32_t size; /* of the object */
    UT_hash_handle hh;
};

/* A record of a batch that was found when the log was opened. */
struct journaled {
    struct log_at at;
    uint64_t batch;
    enum record_type type;
    bool after_gap; /* records are lost before it (or, for the last, after it) */
};

/* The batches that the newest root does not contain, as they are found while the log is opened. */
struct journal {
    struct journaled *records; /* owned */
    size_t count, room;
    size_t whole; /* how many belong to batches whose end was seen */
    uint64_t batches;
    bool gap;      /* records were lost since the last one that was taken */
    uint64_t lost; /* roots whose catalog was lost */
};

/* Where the records of a segment went that was given up: those from number FIRST on. */
struct moved {
    const struct segment *from;
    uint64_t first;
    size_t count;
    struct log_at *to; /* owned; of each; a NULL segment: it was never good */
    struct moved *next;
};

struct range {
    uint64_t from, to;
};

/* So many pieces of the image may wait to be written. */
#define RANGES_MAX 16u

struct site_log {
    struct store store; /* its view as a store; must be first */
    struct segment_keys keys;
    uint8_t *session_key; /* secret memory */
    char *identity;
    int dirfd; /* of the log's folder */
    struct aead *aead;

    pthread_mutex_t lock;
    pthread_cond_t changed;     /* any of the following that somebody waits for has changed */
    struct segment **segments;  /* lock; in order; the last takes records if `writable` */
    size_t segment_count;       /* lock */
    bool writable;              /* lock; the last segment is this process's own */
    uint64_t offset, records;   /* lock; where the next record goes, and its number */
    uint64_t appended, flushed; /* lock; records ever appended and known flushed, by this process */
    struct flush_point flush_point;     /* lock */
    uint64_t flushed_offset;            /* lock; the writable segment is on disk up to here */
    struct range unwritten[RANGES_MAX]; /* lock; of its image, in order: sealed and deferred */
    unsigned unwritten_count;           /* lock */
    uint64_t ahead;                     /* the flusher's; zeros were written up to here */
    unsigned writing;                   /* lock; appends under way */
    unsigned image_readers;             /* lock; the image must stay */
    bool flushing;                      /* lock; somebody is the flusher */
    bool closed;                        /* lock; no append may begin */
    int broken;              /* lock; why the writable segment cannot be trusted any more, or 0 */
    struct moved *moved;     /* lock */
    struct indexed *index;   /* lock */
    uint64_t bytes, objects; /* lock */
    struct site_root *root;  /* lock; secret memory */
    bool has_root;           /* lock */
    uint64_t root_segment;   /* lock; where this process put the newest one; 0: another did */
    uint64_t batch;          /* lock; the highest number of a batch */

    uint64_t spare;           /* lock; bytes that are set aside for a segment */
    bool full;                /* lock; no segment could be made when that was last tried */
    bool urgent;              /* lock; the space that was set aside may be used ... */
    pthread_t urgent_thread;  /* lock; ... by this thread */
    uint64_t first_needed;    /* lock; the oldest segment that must be there */
    uint64_t boundary;        /* lock; objects in segments before it are put again */
    uint64_t bytes_before;    /* lock; in the segments before it */
    unsigned readers;         /* lock; of any segment */
    bool dropping;            /* lock; no reader may begin */
    struct segment **dropped; /* lock; closed, kept because somebody may remember them */
    size_t dropped_count;     /* lock */
    size_t removed;           /* lock; so many of them have no file any more */

    struct journal journal;    /* constant once the log is open */
    struct log_damage *damage; /* likewise; owned */
    size_t damage_count;
};

/* Where a record is. */
struct log_place {
    struct segment *segment;
    uint64_t offset, record;
    struct flush_point flushed;
};

/* Appends a record and says where it is. Blocks while somebody closes the segment. 0, -ENOSPC
 * (nothing was written: it may be tried again), or why the log cannot be written. */
int site_log_append(struct site_log *l, enum record_type type,
                    const struct segment_payload *payload, struct log_place *ret);

/* Reads the record that was appended or found at AT, wherever it is now. -EBADMSG. */
int site_log_read(struct site_log *l, const struct log_at *at, struct buffer *buffer,
                  struct segment_record *ret);

/* Runs FN alone: no append and no flush is under way, and none begins. Without the lock; 0 or what
 * FN returned. */
int site_log_alone(struct site_log *l, int (*fn)(struct site_log *l));

/* Sets aside what there is, up to a segment. 0, -ENOSPC if it is less, or as the disk says. */
int site_log_set_aside(struct site_log *l);
/* Is a whole segment set aside? */
bool site_log_has_spare(struct site_log *l);
/* Likewise while the log is opened; on a full disk with what the segments have behind their ENDS
 * (NULL: not known), which they lose. What fails is logged. */
void site_log_open_space(struct site_log *l, const uint64_t *ends);
/* As the flusher: what FROM, an old segment, has behind END is elsewhere now, and is given back if
 * space is short. */
void site_log_tail_moved(struct site_log *l, const struct segment *from, uint64_t end);

/* With the lock held: is the caller a thread that makes room? */
bool site_log_is_urgent(const struct site_log *l);

/* As the flusher, closed, without the lock: the next record goes to a new segment, all before it is
 * flushed. URGENT: it may take what was set aside. */
int site_log_begin_segment(struct site_log *l, bool urgent);

/* As the flusher, closed, without the lock: what is not on disk of a segment that failed goes into
 * a new one. 0, and all that was appended is on disk; else nothing has changed. */
int site_log_repair(struct site_log *l);
void site_log_moved_free(struct site_log *l);
/* With the lock held, which is let go of while somebody reads the last image: S takes records now.
 * -ENOMEM. */
int site_log_add_segment(struct site_log *l, struct segment *s);

/* While the log is opened: takes a record of operations or blocks. -EBADMSG. */
int site_log_journal_take(struct site_log *l, const struct log_at *at, enum record_type type,
                          const uint8_t *payload, size_t size);
/* Likewise a root (SAME: of the same commit as the one before): forgets what it contains. 1 if what
 * was lost before it does not matter any more, else 0; -EBADMSG. */
int site_log_journal_root(struct site_log *l, const struct site_root *root, bool same);
/* Forgets what is not whole. */
void site_log_journal_cut(struct site_log *l);
/* Likewise with salvage: records are lost here. And at the end, instead of cut. */
void site_log_journal_gap(struct site_log *l);
void site_log_journal_end(struct site_log *l);

#endif
