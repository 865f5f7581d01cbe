/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Appending: under `lock` an appender is given a number and an offset; it encrypts and writes
 * without the lock, side by side with others, and counts as `writing` meanwhile. Flushing: one
 * thread at a time is the `flusher`; it holds back new appends until none is being written, then
 * fdatasyncs without the lock. All who asked before it began are served by the same flush. A new
 * segment is begun by a flusher too, so that every segment but the last is wholly on disk before
 * the next exists.
 *
 * A write or flush that fails leaves the segment in an unknown state: `broken` is set and every
 * later call fails with it (a second fsync could report success for pages that the kernel has
 * dropped). */
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/parcel/site_log_internal.h"

/* With the lock held: begins to be the flusher, once no append is being written. */
static void flusher_enter(struct site_log *l)
{
    while (l->flushing)
        pthread_cond_wait(&l->changed, &l->lock);
    l->flushing = true;
    while (l->writing > 0)
        pthread_cond_wait(&l->changed, &l->lock);
}

static void flusher_leave(struct site_log *l)
{
    l->flushing = false;
    pthread_cond_broadcast(&l->changed);
}

/* As the flusher, lock not held: flushes the segment that takes records. */
static int flush_segment(struct site_log *l)
{
    struct segment *s = NULL;
    uint64_t appended, records;
    {
        LOCK_SCOPE(&l->lock);
        if (l->broken)
            return l->broken;
        if (l->writable && l->flushed < l->appended)
            s = l->segments[l->segment_count - 1];
        appended = l->appended;
        records = l->records;
    }
    if (!s)
        return 0;
    int r = segment_flush(s);
    LOCK_SCOPE(&l->lock);
    if (r < 0) {
        l->broken = r;
        log_error("flushing the site log failed: %s", strerror(-r));
        return r;
    }
    l->flushed = appended;
    l->flush_point = (struct flush_point){segment_number(s), records};
    return 0;
}

static int add_segment(struct site_log *l, struct segment *s)
{
    struct segment **all =
        reallocarray(l->segments, l->segment_count + 1, sizeof(struct segment *));
    if (!all)
        return -ENOMEM;
    l->segments = all;
    l->segments[l->segment_count++] = s;
    return 0;
}

/* As the flusher, lock not held: the next record goes to a new segment. */
int site_log_begin_segment(struct site_log *l)
{
    int r = flush_segment(l);
    if (r < 0)
        return r;
    const struct segment *last;
    {
        LOCK_SCOPE(&l->lock);
        last = l->segment_count ? l->segments[l->segment_count - 1] : NULL;
    }
    struct segment *s = NULL;
    r = segment_create(&l->keys, l->dirfd, last ? segment_number(last) + 1 : 1, last, &s);
    if (r < 0) {
        log_warning("no new segment of the site log: %s", strerror(-r));
        return r;
    }
    LOCK_SCOPE(&l->lock);
    r = add_segment(l, s);
    if (r < 0) {
        segment_free(s);
        return r;
    }
    l->writable = true;
    l->offset = SEGMENT_HEADER_SIZE;
    l->records = 0;
    l->bytes += SEGMENT_HEADER_SIZE;
    return 0;
}

/* Takes a number and an offset for a record; on success the caller is one of `writing`. */
static int reserve(struct site_log *l, size_t payload, struct log_place *ret)
{
    uint64_t size = segment_record_size(payload);
    LOCK_SCOPE(&l->lock);
    for (;;) {
        while (l->flushing)
            pthread_cond_wait(&l->changed, &l->lock);
        if (l->broken)
            return l->broken;
        if (l->writable && l->offset + size <= SEGMENT_SIZE)
            break;
        flusher_enter(l);
        int r = 0;
        if (!(l->writable && l->offset + size <= SEGMENT_SIZE)) {
            pthread_mutex_unlock(&l->lock);
            r = site_log_begin_segment(l);
            pthread_mutex_lock(&l->lock);
        }
        flusher_leave(l);
        if (r < 0)
            return r;
    }
    *ret = (struct log_place){l->segments[l->segment_count - 1], l->offset, l->records,
                              l->flush_point};
    l->offset += size;
    l->records++;
    l->bytes += size;
    l->writing++;
    return 0;
}

static void written(struct site_log *l, int r)
{
    LOCK_SCOPE(&l->lock);
    l->writing--;
    l->appended++;
    if (r < 0 && !l->broken) {
        l->broken = r;
        log_error("writing the site log failed: %s", strerror(-r));
    }
    pthread_cond_broadcast(&l->changed);
}

int site_log_append(struct site_log *l, enum record_type type, const void *head, size_t head_size,
                    const void *body, size_t body_size, struct log_place *ret)
{
    int r = reserve(l, head_size + body_size, ret);
    if (r < 0)
        return r;
    r = segment_write(&l->keys, ret->segment, ret->offset, ret->record, type, ret->flushed, head,
                      head_size, body, body_size);
    written(l, r);
    if (r == 0)
        COUNT(l->store.counters, log_bytes, segment_record_size(head_size + body_size));
    return r;
}
int site_log_flush(struct site_log *l)
{
    pthread_mutex_lock(&l->lock);
    uint64_t wanted = l->appended + l->writing;
    int r = 0;
    while (!(r = l->broken) && l->flushed < wanted) {
        if (l->flushing) {
            pthread_cond_wait(&l->changed, &l->lock);
            continue;
        }
        flusher_enter(l);
        pthread_mutex_unlock(&l->lock);
        r = flush_segment(l);
        pthread_mutex_lock(&l->lock);
        flusher_leave(l);
        if (r < 0)
            break;
    }
    pthread_mutex_unlock(&l->lock);
    return r;
}

int site_log_alone(struct site_log *l, int (*fn)(struct site_log *l))
{
    pthread_mutex_lock(&l->lock);
    flusher_enter(l);
    pthread_mutex_unlock(&l->lock);
    int r = fn(l);
    pthread_mutex_lock(&l->lock);
    flusher_leave(l);
    pthread_mutex_unlock(&l->lock);
    return r;
}
