/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of the site log, shared by site_log.c and site_log_append.c only. */
#ifndef ISRFS_PARCEL_SITE_LOG_INTERNAL_H
#define ISRFS_PARCEL_SITE_LOG_INTERNAL_H

#include <uthash.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/parcel/segment.h"
#include "isrfs/parcel/site_log.h"

struct indexed {
    struct object_id id;
    const struct segment *segment;
    uint64_t offset, record;
    uint32_t size; /* of the object */
    UT_hash_handle hh;
};

/* A record of a batch that was found when the log was opened. */
struct journaled {
    struct log_at at;
    uint64_t batch;
    enum record_type type;
};

/* The batches after the newest root, as they are found while the log is opened. */
struct journal {
    struct journaled *records; /* owned */
    size_t count, room;
    size_t whole; /* how many belong to batches whose end was seen */
    uint64_t batches;
};

struct site_log {
    struct store store; /* its view as a store; must be first */
    struct segment_keys keys;
    uint8_t *session_key; /* secret memory */
    char *identity;
    int dirfd; /* of the log's folder */
    struct aead *aead;

    pthread_mutex_t lock;
    pthread_cond_t changed;     /* writing, flushing or broken changed */
    struct segment **segments;  /* lock; in order; the last takes records if `writable` */
    size_t segment_count;       /* lock */
    bool writable;              /* lock; the last segment is this process's own */
    uint64_t offset, records;   /* lock; where the next record goes, and its number */
    uint64_t appended, flushed; /* lock; records ever appended and known flushed, by this process */
    struct flush_point flush_point; /* lock */
    unsigned writing;               /* lock; appends under way */
    bool flushing;                  /* lock; somebody is the flusher: no append may begin */
    int broken;                     /* lock; negative errno once a write or flush has failed */
    struct indexed *index;          /* lock */
    uint64_t bytes, objects;        /* lock */
    struct site_root *root;         /* lock; secret memory */
    bool has_root;                  /* lock */
    uint64_t batch;                 /* lock; the highest number of a batch */

    struct journal journal; /* constant once the log is open */
};

/* Where a record is. */
struct log_place {
    struct segment *segment;
    uint64_t offset, record;
    struct flush_point flushed;
};

/* Appends a record whose payload is HEAD and then BODY, and says where it is. Blocks while somebody
 * flushes. 0, -ENOSPC (nothing was written: it may be tried again), or what broke the log. */
int site_log_append(struct site_log *l, enum record_type type, const void *head, size_t head_size,
                    const void *body, size_t body_size, struct log_place *ret);

/* Runs FN alone: no append and no flush is under way, and none begins. Without the lock; 0 or what
 * FN returned. */
int site_log_alone(struct site_log *l, int (*fn)(struct site_log *l));

/* For site_log_alone: the next record goes to a new segment, all before it is flushed. */
int site_log_begin_segment(struct site_log *l);

/* While the log is opened: takes a record of operations or blocks. -EBADMSG. */
int site_log_journal_take(struct site_log *l, const struct log_at *at, enum record_type type,
                          const uint8_t *payload, size_t size);
/* Forgets what was taken (a newer root has it), or what is not whole. */
void site_log_journal_clear(struct site_log *l);
void site_log_journal_cut(struct site_log *l);

#endif
