/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changing a file's bytes. Everything is done to changed chunks in memory, by 4 KiB block, and to
 * the set of holes; the keyring is only touched by a flush. Bytes past a file's size within its
 * last chunk are zero, always: truncating zeroes them, so that growing again shows zeros. */
#include <string.h>

#include "isrfs/parcel/parcel_internal.h"

/* Puts SIZE bytes (NULL: zeros) at AT of one chunk. Blocks that are only partly covered need the
 * rest of their bytes first; but all that lies past the file's size is zero, so that what is added
 * at the end (as the kernel does, by whole pages up to the size) needs nothing. With the lock
 * held. */
static int write_piece(struct file *f, uint64_t index, size_t at, const uint8_t *data, size_t size)
{
    unsigned first = (unsigned)(at / BLOCK_SIZE);
    unsigned last = (unsigned)((at + size + BLOCK_SIZE - 1) / BLOCK_SIZE);
    size_t end = at + size, tail = (BLOCK_SIZE - end % BLOCK_SIZE) % BLOCK_SIZE;
    bool head_partial = at % BLOCK_SIZE != 0, at_end;
    struct dirty *d;
    for (;;) {
        int r = dirty_writable(f, index, &d);
        if (r < 0)
            return r;
        at_end = index * f->chunk_size + end >= f->size;
        if ((!head_partial || dirty_has(d, first, first + 1)) &&
            (tail == 0 || at_end || dirty_has(d, last - 1, last)))
            break;
        r = dirty_complete(f, index);
        if (r < 0)
            return r;
    }
    if (data)
        memcpy(d->data + at, data, size);
    else
        memset(d->data + at, 0, size);
    if (at_end)
        memset(d->data + end, 0, tail);
    dirty_set_own(d, first, last, false);
    return 0;
}

static void touch(struct file *f)
{
    f->mtime = f->ctime = file_now();
    file_attr_changed(f);
    atomic_fetch_add(&f->parcel->changes, 1);
}

static int write_range(struct file *f, const uint8_t *data, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        size_t at = (offset + done) % f->chunk_size;
        size_t part = f->chunk_size - at < size - done ? f->chunk_size - at : size - done;
        {
            LOCK_SCOPE(&f->lock);
            int r = write_piece(f, (offset + done) / f->chunk_size, at, data + done, part);
            if (r < 0)
                return r;
            if (offset + done + part > f->size)
                f->size = offset + done + part;
            touch(f);
        }
        fetch_note(f, (offset + done) / f->chunk_size);
        done += part;
    }
    return 0;
}

ssize_t parcel_write_now(struct parcel *p, uint64_t file_id, const void *data, size_t size,
                         uint64_t offset)
{
    if (offset > INT64_MAX - size)
        return -EFBIG;
    CLEANUP_FILE struct file *f = NULL;
    int r = file_get_regular(p, file_id, &f);
    if (r < 0)
        return r;
    /* a write to a mapped page that fails would be lost without a word */
    int room = flush_make_room(p);
    r = room < 0 && !f->run ? room : parcel_gate_enter(p);
    if (r < 0)
        return r;
    r = write_range(file_top(f), data, size, offset);
    parcel_gate_leave(p);
    return r < 0 ? r : (ssize_t)size;
}

int file_punch(struct file *f, uint64_t first, uint64_t last)
{
    dirty_drop(f, first, last);
    int r = holes_add(&f->holes, first, last);
    if (r == 0)
        f->generation++;
    return r;
}

int file_punch_noted(struct file *f, uint64_t first, uint64_t last)
{
    if (first >= last)
        return 0;
    struct op op = {.type = OP_HOLES, .file_id = f->file_id, .first = first, .last = last};
    int r = f->below ? 0 : ops_note(f->parcel, op);
    return r < 0 ? r : file_punch(f, first, last);
}

/* Zeros from OFFSET to END. A chunk that is a hole already stays one. With the lock held. */
static int zero_range(struct file *f, uint64_t offset, uint64_t end)
{
    uint64_t size = f->chunk_size;
    uint64_t first = (offset + size - 1) / size, last = end / size;
    if (first > last) /* within one chunk */
        return holes_find(&f->holes, last) && !dirty_find(f, last)
                   ? 0
                   : write_piece(f, last, offset % size, NULL, end - offset);
    int r = file_punch_noted(f, first, last);
    if (r == 0 && offset % size && !(holes_find(&f->holes, first - 1) && !dirty_find(f, first - 1)))
        r = write_piece(f, first - 1, offset % size, NULL, size - offset % size);
    if (r == 0 && end % size && !(holes_find(&f->holes, last) && !dirty_find(f, last)))
        r = write_piece(f, last, 0, NULL, end % size);
    return r;
}

int parcel_zero_now(struct parcel *p, uint64_t file_id, uint64_t offset, uint64_t size,
                    bool keep_size)
{
    if (size == 0 || offset > INT64_MAX - size)
        return size == 0 ? -EINVAL : -EFBIG;
    int r = flush_make_room(p);
    r = r < 0 ? r : parcel_gate_enter(p);
    if (r < 0)
        return r;
    CLEANUP_FILE struct file *f = NULL;
    r = file_get_regular(p, file_id, &f);
    if (r == 0) {
        struct file *t = file_top(f);
        LOCK_SCOPE(&t->lock);
        uint64_t end = offset + size;
        /* nothing lies past the size: there only whole chunks up to it matter */
        uint64_t chunks_end = (t->size + t->chunk_size - 1) / t->chunk_size * t->chunk_size;
        uint64_t stop = end < chunks_end ? end : chunks_end;
        r = offset < stop ? zero_range(t, offset, stop) : 0;
        if (r == 0 && !keep_size && end > t->size)
            t->size = end;
        if (r == 0)
            touch(t);
        else
            atomic_fetch_add(&p->changes, 1); /* of a part of it */
    }
    parcel_gate_leave(p);
    return r;
}

/* Shrinks: what lies past the new size becomes zeros and holes, also what only the keyring knows
 * of. */
static int shrink(struct file *f, uint64_t size)
{
    uint64_t chunk = f->chunk_size;
    uint64_t first_gone = (size + chunk - 1) / chunk;
    int r = 0;
    if (size % chunk)
        r = zero_range(f, size, first_gone * chunk);
    return r < 0 ? r : file_punch_noted(f, first_gone, UINT64_MAX / chunk);
}

int parcel_truncate_now(struct parcel *p, uint64_t file_id, uint64_t size)
{
    if (size > INT64_MAX)
        return -EFBIG;
    CLEANUP_FILE struct file *f = NULL;
    int r = file_get_regular(p, file_id, &f);
    r = r < 0 || !f->run ? r : volatile_reserve(f->run, size);
    r = r < 0 ? r : flush_make_room(p);
    r = r < 0 ? r : parcel_gate_enter(p);
    if (r < 0)
        return r;
    struct file *t = file_top(f);
    {
        LOCK_SCOPE(&t->lock);
        r = size < t->size ? shrink(t, size) : 0;
        if (r == 0) {
            t->size = size;
            touch(t);
        }
    }
    parcel_gate_leave(p);
    return r;
}

/* The lowest index at or above INDEX that is changed, or UINT64_MAX. With the lock held. */
static uint64_t next_dirty(struct file *f, uint64_t index)
{
    uint64_t lowest = UINT64_MAX;
    for (const struct dirty *d = f->dirty; d; d = d->hh.next)
        if (d->index >= index && d->index < lowest)
            lowest = d->index;
    return lowest;
}

static int seek_data(struct file *f, uint64_t index, uint64_t end, uint64_t *ret);
static int seek_hole(struct file *f, uint64_t index, uint64_t end, uint64_t *ret);

/* Likewise of what lies below the changed chunks: the keyring, or a volatile file below its layer.
 */
static int next_below(struct file *f, uint64_t index, uint64_t end, bool data, uint64_t *ret)
{
    if (!f->below)
        return keyring_next(f->keyring, index, end, data, ret);
    *ret = end;
    return data ? seek_data(f->below, index, end, ret) : seek_hole(f->below, index, end, ret);
}

/* The first chunk from INDEX to END - 1 that is data, END if there is none. */
static int seek_data(struct file *f, uint64_t index, uint64_t end, uint64_t *ret)
{
    while (index < end) {
        uint64_t found;
        int r = next_below(f, index, end, true, &found);
        if (r < 0)
            return r;
        LOCK_SCOPE(&f->lock);
        uint64_t changed = next_dirty(f, index);
        const struct hole_range *hole = found < end ? holes_find(&f->holes, found) : NULL;
        if (changed <= found || !hole) {
            *ret = changed < found ? changed : found;
            break;
        }
        index = hole->last < changed ? hole->last : changed;
        *ret = end;
    }
    if (*ret > end || index >= end)
        *ret = end;
    return 0;
}

/* The first chunk from INDEX to END - 1 that is a hole, END if there is none. */
static int seek_hole(struct file *f, uint64_t index, uint64_t end, uint64_t *ret)
{
    for (; index < end; index++) {
        uint64_t found;
        int r = next_below(f, index, end, false, &found);
        if (r < 0)
            return r;
        LOCK_SCOPE(&f->lock);
        if (holes_find(&f->holes, index)) {
            found = index;
        } else {
            const struct hole_range *after = holes_after(&f->holes, index);
            if (after && after->first < found)
                found = after->first;
        }
        index = found;
        if (found < end && !dirty_find(f, found))
            break;
    }
    *ret = index < end ? index : end;
    return 0;
}

int parcel_seek_now(struct parcel *p, uint64_t file_id, uint64_t offset, bool data, uint64_t *ret)
{
    CLEANUP_FILE struct file *f = NULL;
    int r = file_get_regular(p, file_id, &f);
    if (r < 0)
        return r;
    uint64_t size;
    struct file *t = file_top(f);
    {
        LOCK_SCOPE(&t->lock);
        size = t->size;
    }
    if (offset >= size)
        return -ENXIO;
    uint64_t end = (size + t->chunk_size - 1) / t->chunk_size, found = end;
    uint64_t index = offset / t->chunk_size;
    r = data ? seek_data(t, index, end, &found) : seek_hole(t, index, end, &found);
    if (r < 0)
        return r == -ENOMEM || r == -EHOSTDOWN ? r : -EIO;
    if (data && found == end)
        return -ENXIO;
    uint64_t at = found * t->chunk_size;
    *ret = at < offset ? offset : at < size ? at : size;
    return 0;
}

int parcel_place(struct parcel *p, uint64_t file_id, uint64_t index, enum parcel_place *ret_place,
                 uint64_t *ret_end)
{
    CLEANUP_FILE struct file *f = NULL;
    int r = file_get_regular(p, file_id, &f);
    if (r < 0)
        return r;
    uint64_t end;
    bool hole, changed, memory;
    if (f->run) {
        LOCK_SCOPE(&f->run->lock);
        const struct dirty *d = dirty_find(f->run, index);
        *ret_place = d && d->data ? PARCEL_MEMORY : PARCEL_SITE;
        *ret_end = index + 1;
        if (d)
            return 0;
    }
    {
        LOCK_SCOPE(&f->lock);
        const struct dirty *d = dirty_find(f, index);
        end = (f->size + f->chunk_size - 1) / f->chunk_size;
        changed = d;
        memory = d && d->unlogged > 0;
        hole = holes_find(&f->holes, index);
    }
    if (index >= end)
        return -ENXIO;
    *ret_end = index + 1;
    if (changed) {
        *ret_place = memory ? PARCEL_MEMORY : PARCEL_SITE;
        return 0;
    }
    struct object_ref ref = {0};
    r = hole ? 0 : keyring_lookup(f->keyring, index, &ref);
    if (r < 0)
        return r;
    if (!object_id_is_hole(&ref.id)) {
        bool site = p->config.log && store_has(site_log_store(p->config.log), &ref.id) > 0;
        *ret_place = site ? PARCEL_SITE : PARCEL_HOME;
        return 0;
    }
    *ret_place = PARCEL_HOLE;
    r = seek_data(f, index, end, ret_end);
    return r;
}
