/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chunks that differ from what keyring and holes say. Each keeps a bit for every 4 KiB block that
 * was written since its base, and another while that block is not yet in the log.
 *
 *   settled    a ref alone: the whole chunk is an object in the log, the keyring does not know it
 * yet loaded     `data` has the own blocks; if `complete`, also the others, from the base evicted
 * own blocks, all of them in the log at `where`, none in memory
 *
 *   absent or settled --write--> loaded --encoded--> settled --commit--> absent (in the keyring)
 *                                loaded --logged, memory is short--> evicted --needed--> loaded
 *
 * While `busy` the bytes are read by the log or an encoder without the lock; writers wait. What
 * gives data to a chunk or takes it away keeps p->dirty_list and p->log_list. */
#include "isrfs/parcel/parcel_internal.h"

#include <string.h>

#include "isrfs/base/log.h"

static size_t words(const struct file *f)
{
    return (file_blocks(f) + 63) / 64;
}

struct dirty *dirty_find(struct file *f, uint64_t index)
{
    struct dirty *d;
    HASH_FIND(hh, f->dirty, &index, sizeof index, d);
    return d;
}

struct dirty *dirty_add(struct file *f, uint64_t index)
{
    struct dirty *d = calloc(1, sizeof *d + 2 * words(f) * sizeof d->bits[0]);
    if (!d)
        return NULL;
    d->index = index;
    d->file = f;
    HASH_ADD(hh, f->dirty, index, sizeof d->index, d);
    return d;
}

static int give_data(struct dirty *d)
{
    struct parcel *p = d->file->parcel;
    d->data = chunk_buffers_take(p->buffers, d->file->chunk_size);
    if (!d->data)
        return -ENOMEM;
    LOCK_SCOPE(&p->dirty_lock);
    DL_APPEND(p->dirty_list, d);
    p->dirty_bytes += d->file->chunk_size;
    return 0;
}

static uint8_t *take_data(struct dirty *d)
{
    struct parcel *p = d->file->parcel;
    uint8_t *data = d->data;
    if (!data)
        return NULL;
    d->data = NULL;
    d->complete = false;
    LOCK_SCOPE(&p->dirty_lock);
    DL_DELETE(p->dirty_list, d);
    p->dirty_bytes -= d->file->chunk_size;
    return data;
}

void dirty_set_logged(struct dirty *d)
{
    if (d->unlogged == 0)
        return;
    memset(d->bits + words(d->file), 0, words(d->file) * sizeof d->bits[0]);
    d->unlogged = 0;
    if (d->file->below) /* is never logged */
        return;
    struct parcel *p = d->file->parcel;
    LOCK_SCOPE(&p->dirty_lock);
    DL_DELETE2(p->log_list, d, log_prev, log_next);
}

void dirty_remove(struct dirty *d)
{
    struct file *f = d->file;
    struct parcel *p = f->parcel;
    HASH_DELETE(hh, f->dirty, d);
    dirty_set_logged(d);
    chunk_buffers_give(p->buffers, take_data(d), f->chunk_size);
    ref_slots_give(p->refs, d->ref);
    free(d->where);
    free(d);
}

bool dirty_own(const struct dirty *d, unsigned block)
{
    return d->bits[block / 64] >> (block % 64) & 1;
}

bool dirty_unlogged(const struct dirty *d, unsigned block)
{
    return d->bits[words(d->file) + block / 64] >> (block % 64) & 1;
}

bool dirty_has(const struct dirty *d, unsigned first_block, unsigned last_block)
{
    if (!d->data)
        return false;
    if (d->complete || d->own == file_blocks(d->file))
        return true;
    for (unsigned i = first_block; i < last_block; i++)
        if (!dirty_own(d, i))
            return false;
    return true;
}

void dirty_set_own(struct dirty *d, unsigned first_block, unsigned last_block, bool logged)
{
    size_t offset = words(d->file);
    bool listed = d->unlogged > 0;
    for (unsigned i = first_block; i < last_block; i++) {
        uint64_t bit = UINT64_C(1) << (i % 64);
        if (!dirty_own(d, i))
            d->own++;
        d->bits[i / 64] |= bit;
        if (logged || dirty_unlogged(d, i))
            continue;
        d->bits[offset + i / 64] |= bit;
        d->unlogged++;
    }
    if (listed || d->unlogged == 0 || d->file->below)
        return;
    struct parcel *p = d->file->parcel;
    LOCK_SCOPE(&p->dirty_lock);
    DL_APPEND2(p->log_list, d, log_prev, log_next);
}

uint8_t *dirty_settle(struct dirty *d, struct object_ref *ref)
{
    dirty_set_logged(d);
    memset(d->bits, 0, words(d->file) * sizeof d->bits[0]);
    d->own = 0;
    free(steal_ptr(d->where));
    ref_slots_give(d->file->parcel->refs, d->ref);
    d->ref = ref;
    return take_data(d);
}

void dirty_evict(struct dirty *d)
{
    chunk_buffers_give(d->file->parcel->buffers, take_data(d), d->file->chunk_size);
}

void dirty_end_busy(struct dirty *d)
{
    d->busy = false;
    pthread_cond_broadcast(&d->file->idle);
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
    while (find_in_range(f, first, last)) {
        struct dirty *d, *next;
        bool busy = false;
        HASH_ITER(hh, f->dirty, d, next)
        {
            if (d->index < first || d->index >= last)
                continue;
            if (d->busy)
                busy = true;
            else
                dirty_remove(d);
        }
        if (busy)
            pthread_cond_wait(&f->idle, &f->lock);
    }
}

/* The blocks of one chunk that are to be read back from the log. */
struct wanted {
    struct block_at *where;
    uint64_t *own;
    unsigned blocks;
};

/* Reads them into DATA. No lock. */
static int read_blocks(struct site_log *log, const struct wanted *w, uint8_t *data)
{
    CLEANUP_SECRET_BUFFER struct buffer record = {0};
    struct log_at loaded = {0};
    struct log_blocks blocks = {0};
    for (unsigned i = 0; i < w->blocks; i++) {
        if (!(w->own[i / 64] >> (i % 64) & 1))
            continue;
        const struct block_at *at = &w->where[i];
        if (memcmp(&loaded, &at->at, sizeof loaded) != 0) {
            int r = site_log_read_blocks(log, &at->at, &record, &blocks);
            if (r < 0)
                return r;
            loaded = at->at;
        }
        if (at->slot >= blocks.count)
            return -EBADMSG;
        memcpy(data + (size_t)i * BLOCK_SIZE, blocks.data + (size_t)at->slot * BLOCK_SIZE,
               BLOCK_SIZE);
    }
    return 0;
}

int dirty_load(struct file *f, uint64_t index)
{
    struct dirty *d = dirty_find(f, index);
    if (!d || d->data || d->own == 0)
        return 0;
    struct parcel *p = f->parcel;
    struct wanted w = {.blocks = file_blocks(f)};
    CLEANUP_FREE uint64_t *own = malloc(words(f) * sizeof *own);
    CLEANUP_FREE struct block_at *where = malloc(w.blocks * sizeof *where);
    if (!own || !where)
        return -ENOMEM;
    memcpy(own, d->bits, words(f) * sizeof *own);
    memcpy(where, d->where, w.blocks * sizeof *where);
    w.own = own;
    w.where = where;
    pthread_mutex_unlock(&f->lock);
    uint8_t *data = chunk_buffers_take(p->buffers, f->chunk_size);
    int r = !data      ? -ENOMEM
            : f->below ? volatile_load(f, index, where, own, data)
                       : read_blocks(p->config.log, &w, data);
    pthread_mutex_lock(&f->lock);
    d = dirty_find(f, index);
    if (!d || d->data || !d->where || memcmp(where, d->where, w.blocks * sizeof *where) != 0) {
        chunk_buffers_give(p->buffers, data, f->chunk_size); /* somebody was quicker */
        return r == -ENOMEM ? r : 0;
    }
    if (r < 0 && r != -ENOMEM) {
        log_error("chunk %llu of file %llu cannot be read back from the site log: %s",
                  (unsigned long long)index, (unsigned long long)f->file_id, strerror(-r));
        r = -EIO;
    }
    /* still the same blocks at the same places: an evicted chunk is loaded before it is changed */
    if (r == 0 && d && !d->data && d->where && memcmp(own, d->bits, words(f) * sizeof *own) == 0 &&
        (r = give_data(d)) == 0)
        memcpy(d->data, data, f->chunk_size);
    chunk_buffers_give(p->buffers, data, f->chunk_size);
    return r;
}

int dirty_writable(struct file *f, uint64_t index, struct dirty **ret)
{
    for (;;) {
        struct dirty *d = dirty_find(f, index);
        if (d && d->busy) {
            pthread_cond_wait(&f->idle, &f->lock);
            continue;
        }
        if (d && !d->data && d->own > 0) {
            int r = dirty_load(f, index);
            if (r < 0)
                return r;
            continue;
        }
        if (!d)
            d = dirty_add(f, index);
        if (!d)
            return -ENOMEM;
        *ret = d;
        return d->data ? 0 : give_data(d);
    }
}

/* Fills every block that is not own from BASE (NULL: zeros). */
static void merge(struct dirty *d, const uint8_t *base)
{
    unsigned blocks = file_blocks(d->file);
    for (unsigned i = 0; i < blocks; i++) {
        if (dirty_own(d, i))
            continue;
        size_t at = (size_t)i * BLOCK_SIZE;
        if (base)
            memcpy(d->data + at, base + at, BLOCK_SIZE);
        else
            memset(d->data + at, 0, BLOCK_SIZE);
    }
    d->complete = true;
}

/* The base of a chunk of a volatile file's layer is what the file has. As fetch_base. */
static int fetch_below(struct file *f, uint64_t index)
{
    struct chunk_buffers *buffers = f->parcel->buffers;
    uint64_t generation = f->generation;
    pthread_mutex_unlock(&f->lock);
    uint8_t *base = chunk_buffers_take(buffers, f->chunk_size);
    int r = base ? file_read_chunk(f->below, index, base) : -ENOMEM;
    pthread_mutex_lock(&f->lock);
    struct dirty *d = dirty_find(f, index);
    if (r == 0 && d && d->data && f->generation == generation)
        merge(d, base);
    chunk_buffers_give(buffers, base, f->chunk_size);
    return r;
}

/* Fetches the base of a loaded chunk. With the lock held, which is let go of: look again
 * afterwards. */
static int fetch_base(struct file *f, struct dirty *d)
{
    uint64_t index = d->index, generation = f->generation;
    if (f->below)
        return fetch_below(f, index);
    struct object_ref *ref = NULL;
    if (d->ref) {
        ref = ref_slots_take(f->parcel->refs);
        if (!ref)
            return -ENOMEM;
        *ref = *d->ref;
    }
    pthread_mutex_unlock(&f->lock);
    struct chunk *base = NULL;
    int r = file_base(f, index, ref, &base);
    bool gone = r == -EIO && salvage_base_is_gone(f, index, ref);
    ref_slots_give(f->parcel->refs, ref);
    pthread_mutex_lock(&f->lock);
    d = dirty_find(f, index);
    if (gone)
        r = d ? salvage_note_base(d) : 0;
    if (r == 0 && d && d->data && f->generation == generation)
        merge(d, base ? chunk_data(base) : NULL);
    if (base)
        chunk_cache_release(f->parcel->cache, base);
    return r;
}

int dirty_complete(struct file *f, uint64_t index)
{
    for (;;) {
        struct dirty *d = dirty_find(f, index);
        int r = 0;
        if (!d || (d->own == 0 && !d->data) || dirty_has(d, 0, file_blocks(f)))
            return 0;
        if (!d->data)
            r = dirty_load(f, index);
        else if (!d->ref && holes_find(&f->holes, index))
            merge(d, NULL);
        else
            r = fetch_base(f, d);
        if (r < 0)
            return r;
    }
}
