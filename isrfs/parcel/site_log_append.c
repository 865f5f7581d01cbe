/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Appending: under `lock` an appender is given a number and an offset; it seals its record into the
 * segment's image without the lock, side by side with others, and counts as `writing` meanwhile. A
 * large record is written to the file at once by who made it; small ones are gathered (`unwritten`)
 * and written together by the next flush: one write for a whole batch of the journal.
 *
 * The space of a segment is only reserved, and the first write to a block of it makes its flush a
 * transaction of the file system. So a flush that has few bytes to write puts zeros behind them:
 * the flushes after it overwrite blocks that are there.
 *
 * Flushing: one thread at a time is the `flusher`. It closes the segment until no append is under
 * way, writes what was gathered, opens it again and flushes the file. All who asked before it
 * closed are served by the same flush. A new segment is begun by a flusher too, so that every
 * segment but the last is wholly on disk before the next exists.
 *
 * A write or flush that fails leaves the segment in an unknown state: a second fsync could report
 * success for pages that the kernel has dropped. It is `broken` then, is given up, and what was not
 * known to be on disk goes from the image into a new one (site_log_repair.c). */
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/parcel/segment_space.h"
#include "isrfs/parcel/site_log_internal.h"

#define LARGE         (64u << 10) /* bytes of a record that is written at once */
#define AHEAD         (1u << 20)  /* bytes that are written ahead */
#define KEPT_FREE     (40u << 20) /* bytes of the last segment, where little is set aside */
#define UNFLUSHED_MAX (16u << 20) /* bytes that are kept in memory for want of a flush */

static void wait_change(struct site_log *l)
{
    pthread_cond_wait(&l->changed, &l->lock);
}

/* With the lock held: no append is under way from now on. */
static void close_segment(struct site_log *l)
{
    l->closed = true;
    while (l->writing > 0)
        wait_change(l);
}

/* With the lock held: begins to be the flusher, with the segment closed. */
static void flusher_enter(struct site_log *l)
{
    while (l->flushing)
        wait_change(l);
    l->flushing = true;
    close_segment(l);
}

static void flusher_leave(struct site_log *l)
{
    l->flushing = l->closed = false;
    pthread_cond_broadcast(&l->changed);
}

static struct segment *last_segment(const struct site_log *l)
{
    return l->segment_count ? l->segments[l->segment_count - 1] : NULL;
}

/* What a flush is to make durable. */
struct flush {
    struct segment *segment; /* NULL: nothing */
    struct range ranges[RANGES_MAX];
    unsigned count;
    uint64_t appended, records, offset;
};

static int begin_flush(struct site_log *l, struct flush *f)
{
    LOCK_SCOPE(&l->lock);
    *f = (struct flush){.appended = l->appended, .records = l->records, .offset = l->offset};
    if (l->broken)
        return l->broken;
    if (!l->writable || l->flushed == l->appended)
        return 0;
    f->segment = last_segment(l);
    f->count = l->unwritten_count;
    memcpy(f->ranges, l->unwritten, sizeof f->ranges);
    return 0;
}

/* As the flusher, closed: behind the last record the image is zero. */
static int write_ranges(struct site_log *l, struct flush *f)
{
    struct range *last = f->count ? &f->ranges[f->count - 1] : NULL;
    if (last && last->to == f->offset && last->to > l->ahead) {
        last->to += AHEAD - last->to % AHEAD;
        l->ahead = last->to;
    }
    int r = 0;
    for (unsigned i = 0; r == 0 && i < f->count; i++)
        r = segment_write(f->segment, f->ranges[i].from, f->ranges[i].to);
    return r;
}

/* As the flusher, closed, lock not held: flushes what was appended, letting appends go on meanwhile
 * if OPEN. */
static int flush_segment(struct site_log *l, bool open)
{
    struct flush f;
    int r = begin_flush(l, &f);
    if (r < 0 || !f.segment)
        return r;
    r = write_ranges(l, &f);
    if (r == 0) {
        LOCK_SCOPE(&l->lock);
        l->unwritten_count = 0;
        if (open) {
            l->closed = false;
            pthread_cond_broadcast(&l->changed);
        }
    }
    r = r < 0 ? r : segment_flush(f.segment);
    LOCK_SCOPE(&l->lock);
    if (r < 0) {
        l->broken = r;
        return r;
    }
    l->flushed = f.appended;
    l->flushed_offset = f.offset;
    l->flush_point = (struct flush_point){segment_number(f.segment), f.records};
    if (l->image_readers == 0)
        segment_release(f.segment, f.offset);
    return 0;
}

/* Likewise; a segment that fails is replaced. */
static int make_durable(struct site_log *l, bool open)
{
    int r = flush_segment(l, open);
    if (r == 0)
        return 0;
    log_error("the site log cannot be written: %s; beginning a new segment", strerror(-r));
    {
        LOCK_SCOPE(&l->lock);
        close_segment(l);
    }
    return site_log_repair(l);
}

int site_log_add_segment(struct site_log *l, struct segment *s)
{
    struct segment **all =
        reallocarray(l->segments, l->segment_count + 1, sizeof(struct segment *));
    if (!all)
        return -ENOMEM;
    l->segments = all;
    while (l->image_readers > 0)
        wait_change(l);
    if (l->writable)
        segment_drop_image(last_segment(l));
    l->segments[l->segment_count++] = s;
    l->writable = true;
    l->flushed_offset = l->offset = SEGMENT_HEADER_SIZE;
    l->records = 0;
    l->unwritten_count = 0;
    l->ahead = 0;
    l->bytes += SEGMENT_HEADER_SIZE;
    return 0;
}

/* With the lock held: was something read when the log was opened that nobody vouches for? */
static bool has_tail(const struct site_log *l)
{
    const struct segment *last = last_segment(l);
    return !l->writable && last &&
           (l->flush_point.segment != segment_number(last) || l->records > l->flush_point.records);
}

int site_log_begin_segment(struct site_log *l, bool urgent)
{
    bool tail;
    {
        LOCK_SCOPE(&l->lock);
        tail = has_tail(l);
    }
    if (tail)
        return site_log_repair(l);
    int r = make_durable(l, false);
    if (r < 0)
        return r;
    const struct segment *last;
    struct flush_point on_disk;
    {
        LOCK_SCOPE(&l->lock);
        last = last_segment(l);
        on_disk = l->flush_point;
    }
    uint64_t number = last ? segment_number(last) : 0;
    struct segment *s = NULL;
    r = segment_create(&l->keys, l->dirfd, number + 1, last,
                       on_disk.segment == number ? on_disk.records : 0, urgent ? SEGMENT_SPARE : 0,
                       &s);
    uint64_t spare = segment_space_aside(l->dirfd);
    LOCK_SCOPE(&l->lock);
    l->spare = spare;
    if (r < 0) {
        if (!l->full)
            log_warning("no new segment of the site log: %s", strerror(-r));
        l->full = true;
        if (r == -EUCLEAN)
            l->broken = r; /* what is appended to this one from now on may not count */
        return r;
    }
    l->full = false;
    r = site_log_add_segment(l, s);
    if (r < 0)
        segment_free(s);
    return r;
}

/* With the lock held. What a whole segment lacks that should be set aside is kept free in the last
 * one, so far that what others put into that fits into what is there for who makes room. */
static bool fits(const struct site_log *l, uint64_t size, bool urgent)
{
    uint64_t lacking = l->spare < SEGMENT_SIZE ? SEGMENT_SIZE - l->spare : 0;
    uint64_t kept = urgent ? 0 : lacking < KEPT_FREE ? lacking : KEPT_FREE;
    return l->writable && !l->broken && l->offset + size + kept <= segment_size(last_segment(l));
}

/* As the flusher, lock not held: makes room for SIZE bytes. */
static int make_room(struct site_log *l, uint64_t size, bool urgent)
{
    int r = make_durable(l, false); /* replaces a broken segment */
    if (r < 0)
        return r;
    {
        LOCK_SCOPE(&l->lock);
        if (fits(l, size, urgent))
            return 0;
    }
    return site_log_begin_segment(l, urgent);
}

/* Takes a number and an offset for a record; on success the caller is one of `writing`. What is set
 * aside is also for records that lead to space becoming free, whoever puts them. */
static int reserve(struct site_log *l, enum record_type type, uint64_t size, struct log_place *ret)
{
    LOCK_SCOPE(&l->lock);
    bool urgent = type == RECORD_ROOT || type == RECORD_FLOOR || site_log_is_urgent(l);
    for (;;) {
        while (l->closed)
            wait_change(l);
        if (fits(l, size, urgent))
            break;
        flusher_enter(l);
        int r = 0;
        if (!fits(l, size, urgent)) {
            pthread_mutex_unlock(&l->lock);
            r = make_room(l, size, urgent);
            pthread_mutex_lock(&l->lock);
        }
        flusher_leave(l);
        if (r < 0)
            return r;
    }
    *ret = (struct log_place){last_segment(l), l->offset, l->records, l->flush_point};
    l->offset += size;
    l->records++;
    l->bytes += size;
    l->writing++;
    return 0;
}

/* With the lock held: FROM to TO - 1 wait to be written. False if there is no room to note it. */
static bool defer(struct site_log *l, uint64_t from, uint64_t to)
{
    struct range *last = l->unwritten_count ? &l->unwritten[l->unwritten_count - 1] : NULL;
    if (last && last->to == from) {
        last->to = to;
        return true;
    }
    if (l->unwritten_count == RANGES_MAX)
        return false;
    l->unwritten[l->unwritten_count++] = (struct range){from, to};
    return true;
}

/* A sealed record goes to the file, now or with others. */
static int put_down(struct site_log *l, const struct log_place *at, uint64_t size)
{
    if (size < LARGE) {
        LOCK_SCOPE(&l->lock);
        if (defer(l, at->offset, at->offset + size))
            return 0;
    }
    return segment_write(at->segment, at->offset, at->offset + size);
}

/* An append has ended. True if so much is not flushed that it should be. */
static bool appended(struct site_log *l, int r)
{
    LOCK_SCOPE(&l->lock);
    l->writing--;
    l->appended++;
    if (r < 0 && !l->broken)
        l->broken = r;
    pthread_cond_broadcast(&l->changed);
    return !l->flushing && l->offset - l->flushed_offset > UNFLUSHED_MAX;
}

int site_log_append(struct site_log *l, enum record_type type,
                    const struct segment_payload *payload, struct log_place *ret)
{
    if (payload->count > SEGMENT_PARTS_MAX || payload->size > SEGMENT_PAYLOAD_MAX)
        return -EFBIG;
    uint64_t size = segment_record_size(payload->size);
    int r = reserve(l, type, size, ret);
    if (r < 0)
        return r;
    int sealed =
        segment_seal(&l->keys, ret->segment, ret->offset, ret->record, type, ret->flushed, payload);
    /* a write that fails is found out about at the next flush, which makes up for it */
    if (appended(l, sealed < 0 ? sealed : put_down(l, ret, size)))
        r = site_log_flush(l);
    if (sealed == 0)
        COUNT(l->store.counters, log_bytes, size);
    return sealed < 0 ? sealed : r;
}

int site_log_flush(struct site_log *l)
{
    LOCK_SCOPE(&l->lock);
    uint64_t wanted = l->appended + l->writing;
    int r = 0;
    while (r == 0 && (l->flushed < wanted || has_tail(l))) {
        if (l->flushing) {
            wait_change(l);
            continue;
        }
        flusher_enter(l);
        bool tail = has_tail(l);
        pthread_mutex_unlock(&l->lock);
        r = tail ? site_log_begin_segment(l, false) : make_durable(l, true);
        pthread_mutex_lock(&l->lock);
        flusher_leave(l);
    }
    return r;
}

int site_log_alone(struct site_log *l, int (*fn)(struct site_log *l))
{
    LOCK_SCOPE(&l->lock);
    flusher_enter(l);
    pthread_mutex_unlock(&l->lock);
    int r = fn(l);
    pthread_mutex_lock(&l->lock);
    flusher_leave(l);
    return r;
}
