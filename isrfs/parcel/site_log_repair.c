/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a segment held that is not known to be on disk: when its disk failed, or in the newest one
 * of a process that is gone. The records up to the last good flush stay where they are; the header
 * of the next segment says that only these count. The others are opened, from the image or the
 * file, and sealed anew into the next segment, since their numbers and their key belong to the old
 * one. Whoever remembers where a record was is led to the new place by `moved`. */
#include <string.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/parcel/segment_space.h"
#include "isrfs/parcel/site_log_internal.h"

struct repair {
    struct site_log *log;
    struct segment *old, *fresh;
    bool image;                 /* the old one has one */
    struct flush_point on_disk; /* what every record is told */
    uint64_t first, end;        /* numbers of the old records that must move */
    uint64_t from;              /* offset of the first one */
    uint64_t offset, records;   /* where the next one goes in the fresh segment */
    struct moved *moved;        /* owned */
};

static void moved_free(struct moved *m)
{
    if (m)
        free(m->to);
    free(m);
}

static void repair_free(struct repair *r)
{
    segment_free(r->fresh);
    moved_free(r->moved);
}

static void start(struct repair *r)
{
    struct site_log *l = r->log;
    LOCK_SCOPE(&l->lock);
    r->old = l->segments[l->segment_count - 1];
    r->on_disk = l->flush_point;
    r->first = l->flush_point.segment == segment_number(r->old) ? l->flush_point.records : 0;
    r->end = l->records;
    r->image = l->writable;
    r->from = l->flushed_offset;
    r->offset = SEGMENT_HEADER_SIZE;
}

/* One record from the old image to the fresh one. One that could not even be sealed has no place:
 * who appended it was told. */
static int move_record(struct repair *r, uint64_t record, uint64_t *at, struct buffer *buffer)
{
    const struct segment_keys *keys = &r->log->keys;
    struct segment_record old;
    int error;
    if (r->image) {
        uint64_t offset = *at;
        *at += segment_image_record(r->old, offset);
        if (segment_read_image(keys, r->old, offset, record, buffer, &old) < 0)
            return 0;
    } else {
        error = segment_read(keys, r->old, *at, record, buffer, &old);
        if (error < 0)
            return error == -ENODATA ? -EBADMSG : error;
        *at += segment_record_size(old.size);
    }
    if (r->offset + segment_record_size(old.size) > segment_size(r->fresh))
        return -ENOSPC;
    const struct iovec part = {(void *)(uintptr_t)old.payload, old.size};
    const struct segment_payload payload = {&part, 1, old.size};
    error = segment_seal(keys, r->fresh, r->offset, r->records, old.type, r->on_disk, &payload);
    if (error < 0)
        return error;
    r->moved->to[record - r->first] = (struct log_at){r->fresh, r->offset, r->records};
    r->offset += segment_record_size(old.size);
    r->records++;
    return 0;
}

static int move_all(struct repair *r)
{
    CLEANUP_SECRET_BUFFER struct buffer buffer = {0};
    r->moved = calloc(1, sizeof *r->moved);
    if (!r->moved)
        return -ENOMEM;
    *r->moved = (struct moved){.from = r->old, .first = r->first, .count = r->end - r->first};
    r->moved->to = calloc(r->moved->count + 1, sizeof *r->moved->to);
    int error = r->moved->to ? 0 : -ENOMEM;
    if (error == 0 && !r->image)
        error = segment_find(r->old, r->first, &r->from);
    uint64_t at = r->from;
    for (uint64_t record = r->first; error == 0 && record < r->end; record++)
        error = move_record(r, record, &at, &buffer);
    error = error < 0 ? error : segment_write(r->fresh, SEGMENT_HEADER_SIZE, r->offset);
    return error < 0 ? error : segment_flush(r->fresh);
}

static int finish(struct repair *r)
{
    struct site_log *l = r->log;
    uint64_t spare = segment_space_aside(l->dirfd);
    LOCK_SCOPE(&l->lock);
    int error = site_log_add_segment(l, r->fresh);
    if (error < 0)
        return error;
    l->spare = spare;
    l->offset = l->flushed_offset = r->offset;
    l->records = r->records;
    l->bytes += r->offset - SEGMENT_HEADER_SIZE;
    l->flushed = l->appended;
    l->flush_point = (struct flush_point){segment_number(r->fresh), r->records};
    l->broken = 0;
    r->fresh = NULL;
    LL_PREPEND(l->moved, r->moved);
    r->moved = NULL;
    return 0;
}

int site_log_repair(struct site_log *l)
{
    CLEANUP(repair_free) struct repair r = {.log = l};
    start(&r);
    uint64_t number = segment_number(r.old) + 1;
    segment_remove_hidden(l->dirfd, number); /* an attempt before this one may have left it */
    int error = segment_create(&l->keys, l->dirfd, number, r.old, r.first,
                               SEGMENT_HIDDEN | SEGMENT_SPARE, &r.fresh);
    if (error < 0)
        return error;
    error = move_all(&r);
    error = error < 0 ? error : segment_show(l->dirfd, number);
    error = error < 0 ? error : finish(&r);
    if (error < 0) {
        segment_remove_hidden(l->dirfd, number);
        segment_remove(l->dirfd, number);
        site_log_set_aside(l);
    } else if (!r.image && r.first < r.end) {
        site_log_tail_moved(l, r.old, r.from);
    }
    return error;
}

void site_log_moved_free(struct site_log *l)
{
    struct moved *m, *next;
    LL_FOREACH_SAFE(l->moved, m, next)
    moved_free(m);
    l->moved = NULL;
}
