/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changed chunks. Each keeps a bit for every 4 KiB block that was written; a block without its bit
 * is the base's (keyring and holes), and is filled in only when somebody reads it or the chunk is
 * encoded.
 *
 *   absent -> partial -> complete -> flushing -> absent (in the log and the keyring)
 *                                             -> complete (the flush failed)
 *
 * While `flushing` the bytes are read by an encoder without the lock; writers wait. */
#include <string.h>

#include "isrfs/parcel/parcel_internal.h"

struct dirty *dirty_find(struct file *f, uint64_t index)
{
    struct dirty *d;
    HASH_FIND(hh, f->dirty, &index, sizeof index, d);
    return d;
}

struct dirty *dirty_add(struct file *f, uint64_t index)
{
    struct parcel *p = f->parcel;
    size_t words = (file_blocks(f) + 63) / 64;
    struct dirty *d = calloc(1, sizeof *d + words * sizeof d->valid[0]);
    if (!d)
        return NULL;
    d->index = index;
    d->file = f;
    d->data = chunk_buffers_take(p->buffers, f->chunk_size);
    if (!d->data) {
        free(d);
        return NULL;
    }
    HASH_ADD(hh, f->dirty, index, sizeof d->index, d);
    LOCK_SCOPE(&p->dirty_lock);
    DL_APPEND(p->dirty_list, d);
    p->dirty_bytes += f->chunk_size;
    return d;
}

void dirty_remove(struct dirty *d, uint8_t **take_data)
{
    struct file *f = d->file;
    struct parcel *p = f->parcel;
    HASH_DELETE(hh, f->dirty, d);
    {
        LOCK_SCOPE(&p->dirty_lock);
        DL_DELETE(p->dirty_list, d);
        p->dirty_bytes -= f->chunk_size;
    }
    if (take_data)
        *take_data = d->data;
    else
        chunk_buffers_give(p->buffers, d->data, f->chunk_size);
    free(d);
}

static bool block_valid(const struct dirty *d, unsigned block)
{
    return d->valid[block / 64] >> (block % 64) & 1;
}

bool dirty_valid(const struct dirty *d, unsigned first_block, unsigned last_block)
{
    if (d->valid_count == file_blocks(d->file))
        return true;
    for (unsigned i = first_block; i < last_block; i++)
        if (!block_valid(d, i))
            return false;
    return true;
}

void dirty_set_valid(struct dirty *d, unsigned first_block, unsigned last_block)
{
    for (unsigned i = first_block; i < last_block; i++) {
        if (block_valid(d, i))
            continue;
        d->valid[i / 64] |= UINT64_C(1) << (i % 64);
        d->valid_count++;
    }
}

void dirty_merge(struct dirty *d, const uint8_t *base)
{
    unsigned blocks = file_blocks(d->file);
    for (unsigned i = 0; i < blocks; i++) {
        if (block_valid(d, i))
            continue;
        size_t at = (size_t)i * BLOCK_SIZE;
        if (base)
            memcpy(d->data + at, base + at, BLOCK_SIZE);
        else
            memset(d->data + at, 0, BLOCK_SIZE);
    }
    dirty_set_valid(d, 0, blocks);
}

/* One with an index in the range, or NULL. */
static struct dirty *find_in_range(struct file *f, uint64_t first, uint64_t last)
{
    if (last - first <= HASH_CNT(hh, f->dirty)) {
        for (uint64_t i = first; i < last; i++) {
            struct dirty *d = dirty_find(f, i);
            if (d)
                return d;
        }
        return NULL;
    }
    for (struct dirty *d = f->dirty; d; d = d->hh.next)
        if (d->index >= first && d->index < last)
            return d;
    return NULL;
}

void dirty_drop(struct file *f, uint64_t first, uint64_t last)
{
    bool waited;
    do {
        waited = false;
        struct dirty *d, *next;
        if (last - first <= 8) {
            while ((d = find_in_range(f, first, last)) && !d->flushing)
                dirty_remove(d, NULL);
        } else {
            HASH_ITER(hh, f->dirty, d, next)
            {
                if (d->index >= first && d->index < last && !d->flushing)
                    dirty_remove(d, NULL);
            }
        }
        if (find_in_range(f, first, last)) {
            pthread_cond_wait(&f->flushed, &f->lock);
            waited = true;
        }
    } while (waited);
}

int dirty_complete(struct file *f, uint64_t index)
{
    for (;;) {
        struct dirty *d = dirty_find(f, index);
        if (!d || d->valid_count == file_blocks(f))
            return 0;
        if (holes_find(&f->holes, index)) {
            dirty_merge(d, NULL);
            return 0;
        }
        uint64_t generation = f->generation;
        pthread_mutex_unlock(&f->lock);
        struct chunk *base = NULL;
        int r = file_base(f, index, &base);
        pthread_mutex_lock(&f->lock);
        d = dirty_find(f, index);
        if (r == 0 && d && f->generation == generation)
            dirty_merge(d, base ? chunk_data(base) : NULL);
        if (base)
            chunk_cache_release(f->parcel->cache, base);
        if (r < 0)
            return r;
    }
}
