/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Getting rid of old segments. A cut begins a new segment, the boundary: what is put from then on
 * lies behind it, also what lay before it already. Then the owner commits, and brings home what
 * that root reaches. After that nothing before the boundary is needed: its blocks and operations
 * are in the root, its objects are at home, or in no state any more.
 *
 * The floor, a record behind the boundary, is on disk before the first file is removed, so that a
 * segment that is missing at the front is told from one that was dropped. */
#include <string.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/parcel/site_log_internal.h"

bool site_log_is_urgent(const struct site_log *l)
{
    return l->urgent && pthread_equal(l->urgent_thread, pthread_self());
}

/* For site_log_alone. */
static int begin_segment(struct site_log *l)
{
    bool urgent;
    {
        LOCK_SCOPE(&l->lock);
        urgent = site_log_is_urgent(l);
    }
    return site_log_begin_segment(l, urgent);
}

int site_log_cut(struct site_log *l, uint64_t *ret_boundary)
{
    int r = site_log_flush(l); /* what an earlier process left is moved on, before the cut */
    r = r < 0 ? r : site_log_alone(l, begin_segment);
    LOCK_SCOPE(&l->lock);
    if (io_is_full(r) && site_log_is_urgent(l) && l->writable && l->segment_count > 1)
        r = 0; /* what was set aside is used up too: without the last one it is shorter at least */
    if (r < 0)
        return r;
    const struct segment *last = l->segments[l->segment_count - 1];
    *ret_boundary = l->boundary = segment_number(last);
    l->bytes_before = l->bytes - l->offset;
    return 0;
}

bool site_log_needs_root(struct site_log *l)
{
    LOCK_SCOPE(&l->lock);
    return l->root_segment < l->boundary;
}

static int put_floor(struct site_log *l, uint64_t boundary)
{
    uint8_t bytes[8];
    put_u64(bytes, boundary);
    const struct iovec part = {bytes, sizeof bytes};
    struct log_place place;
    int r =
        site_log_append(l, RECORD_FLOOR, &(struct segment_payload){&part, 1, sizeof bytes}, &place);
    return r < 0 ? r : site_log_flush(l);
}

/* With the lock held and nobody reading: forgets what lies before the boundary. */
static void index_drop(struct site_log *l, uint64_t boundary)
{
    struct indexed *entry, *next;
    HASH_ITER(hh, l->index, entry, next)
    {
        if (segment_number(entry->at.segment) >= boundary)
            continue;
        HASH_DEL(l->index, entry);
        free(entry);
        l->objects--;
    }
}

/* Closes the segments before the boundary. */
static int close_before(struct site_log *l, uint64_t boundary)
{
    LOCK_SCOPE(&l->lock);
    size_t count = 0;
    while (segment_number(l->segments[count]) < boundary)
        count++;
    struct segment **dropped =
        reallocarray(l->dropped, l->dropped_count + count + 1, sizeof(struct segment *));
    if (!dropped)
        return -ENOMEM;
    l->dropped = dropped;
    l->dropping = true;
    while (l->readers > 0)
        pthread_cond_wait(&l->changed, &l->lock);
    index_drop(l, boundary);
    for (size_t i = 0; i < count; i++) {
        segment_close(l->segments[i]);
        l->dropped[l->dropped_count++] = l->segments[i];
    }
    l->segment_count -= count;
    memmove(l->segments, l->segments + count, l->segment_count * sizeof(struct segment *));
    l->first_needed = boundary;
    l->bytes -= l->bytes_before;
    l->bytes_before = 0;
    l->dropping = false;
    pthread_cond_broadcast(&l->changed);
    return 0;
}

/* The number of the oldest segment that was dropped and has a file still, or 0. */
static uint64_t next_to_remove(struct site_log *l)
{
    LOCK_SCOPE(&l->lock);
    return l->removed < l->dropped_count ? segment_number(l->dropped[l->removed]) : 0;
}

/* Removes the file of one, for good, and sets its space aside if that is not done yet. */
static int remove_next(struct site_log *l)
{
    int r = segment_remove(l->dirfd, next_to_remove(l));
    r = r < 0 && r != -ENOENT ? r : io_fsync_dir(l->dirfd, ".");
    site_log_set_aside(l);
    LOCK_SCOPE(&l->lock);
    l->removed += r == 0;
    return r;
}

/* Oldest first, so that a crash in between leaves a row without gaps. On a full disk nobody else
 * must get the space before some of it is set aside. */
static void remove_dropped(struct site_log *l)
{
    int r = 0;
    while (r == 0 && next_to_remove(l) > 0)
        r = site_log_has_spare(l) ? remove_next(l) : site_log_alone(l, remove_next);
    if (r < 0)
        log_warning("a segment of the site log that is not needed any more stays: %s",
                    strerror(-r));
}

int site_log_drop(struct site_log *l, uint64_t boundary)
{
    if (site_log_needs_root(l))
        return -EAGAIN;
    int r = put_floor(l, boundary);
    r = r < 0 ? r : close_before(l, boundary);
    if (r == 0)
        remove_dropped(l);
    return r;
}

void site_log_set_urgent(struct site_log *l, bool urgent)
{
    LOCK_SCOPE(&l->lock);
    l->urgent = urgent;
    l->urgent_thread = pthread_self();
}

int site_log_restart(struct site_log *l, const struct site_root *root)
{
    uint64_t boundary;
    site_log_set_urgent(l, true);
    int r = site_log_cut(l, &boundary);
    site_log_set_urgent(l, false);
    r = r < 0 ? r : site_log_put_root(l, root);
    r = r < 0 ? r : site_log_flush(l);
    return r < 0 ? r : site_log_drop(l, boundary);
}
