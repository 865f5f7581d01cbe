/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Turning changed chunks into objects in the site log.
 *
 * One thread at a time is the flusher (it holds the token): only it makes chunks busy and changes
 * keyrings. Encoding settles a chunk: its ref stands beside the keyring, so that nothing of the
 * tree has to be fetched. Neither room in memory nor an fsync ever waits for the home: a chunk of
 * which blocks are missing that are not near (a hole, or in the log) is passed over, and its blocks
 * are logged. parcel_settle fetches what is missing, without the token. */
#include <string.h>

#include "isrfs/base/io.h"
#include "isrfs/base/secret.h"
#include "isrfs/parcel/parcel_internal.h"

#define SLICE                                                                                      \
    64 /* chunks that are worked on side by side before it is asked how many are enough            \
        */

struct item {
    struct file *file; /* with a reference */
    uint64_t index;
};

struct batch {
    struct parcel *parcel;
    bool wait; /* for what has to be fetched */
    struct item *items;
    size_t count, room;
    size_t from; /* of the slice */
};

static void batch_free(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        file_put(batch->items[i].file);
    free(batch->items);
}

void flush_token_take(struct parcel *p)
{
    LOCK_SCOPE(&p->flush_lock);
    while (p->flush_busy)
        pthread_cond_wait(&p->flush_changed, &p->flush_lock);
    p->flush_busy = true;
}

void flush_token_give(struct parcel *p)
{
    LOCK_SCOPE(&p->flush_lock);
    p->flush_busy = false;
    pthread_cond_signal(&p->flush_changed);
}

/* With p->names held. */
static int add_item(struct batch *batch, struct file *f, uint64_t index)
{
    if (batch->count == batch->room) {
        size_t room = 2 * batch->room + SLICE;
        struct item *items = reallocarray(batch->items, room, sizeof *items);
        if (!items)
            return -ENOMEM;
        batch->items = items;
        batch->room = room;
    }
    file_owner(f)->references++;
    batch->items[batch->count++] = (struct item){.file = f, .index = index};
    return 0;
}

/* Chunks with data, oldest first, of files that have a name (what is unlinked is never written). */
static int collect_loaded(struct batch *batch)
{
    struct parcel *p = batch->parcel;
    LOCK_SCOPE(&p->names);
    LOCK_SCOPE(&p->dirty_lock);
    int r = 0;
    for (struct dirty *d = p->dirty_list; d && r == 0; d = d->next)
        if (!file_owner(d->file)->unlinked)
            r = add_item(batch, d->file, d->index);
    return r;
}

/* All with blocks of their own, in memory or not. */
static int collect_all(struct batch *batch)
{
    struct parcel *p = batch->parcel;
    LOCK_SCOPE(&p->names);
    int r = 0;
    for (struct file *f = p->files; f && r == 0; f = f->hh_id.next) {
        LOCK_SCOPE(&f->lock);
        for (struct dirty *d = f->dirty; d && r == 0 && !f->unlinked; d = d->hh.next)
            if (d->own > 0 || d->data)
                r = add_item(batch, f, d->index);
    }
    return r;
}

int flush_put_object(void *ctx, const struct object_id *id, const void *object, size_t size)
{
    struct parcel *p = ctx;
    if (!p->overflow)
        return store_put(site_log_store(p->config.log), id, object, size);
    /* nothing keeps what was encoded once the chunk is settled, so this must */
    int r = store_put(p->overflow, id, object, size);
    return r < 0 ? r : store_barrier(p->overflow);
}

int flush_encode_data(struct parcel *p, const struct file *f, const uint8_t *data,
                      struct object_ref **ret)
{
    if (codec_is_zero(data, f->chunk_size))
        return 0;
    struct object_ref *ref = ref_slots_take(p->refs);
    if (!ref)
        return -ENOMEM;
    CLEANUP_BUFFER struct buffer object = {0};
    int r =
        codec_encode_chunk(p->config.codec, p->config.secret, data, f->chunk_size, &object, ref);
    r = r < 0 ? r : flush_put_object(p, &ref->id, object.data, object.size);
    if (r < 0) {
        ref_slots_give(p->refs, ref);
        return r;
    }
    COUNT(p->config.counters, chunks_encoded, 1);
    *ret = ref;
    return 0;
}

/* With the lock held: the chunk is REF now (NULL: a hole); its data goes to the caller. */
static int settle(struct file *f, struct dirty *d, struct object_ref *ref, uint8_t **ret_data)
{
    int r = ref ? 0 : holes_add(&f->holes, d->index, d->index + 1);
    if (r < 0)
        return r;
    f->generation++;
    *ret_data = dirty_settle(d, ref);
    dirty_end_busy(d);
    if (!ref)
        dirty_remove(d);
    return 0;
}

int flush_encode(struct file *f, uint64_t index)
{
    struct parcel *p = f->parcel;
    const uint8_t *data;
    {
        LOCK_SCOPE(&f->lock);
        data = dirty_find(f, index)->data;
    }
    struct object_ref *ref = NULL;
    int r = flush_encode_data(p, f, data, &ref);
    uint8_t *taken = NULL;
    struct object_id id = ref ? ref->id : (struct object_id){0};
    {
        LOCK_SCOPE(&f->lock);
        struct dirty *d = dirty_find(f, index);
        r = r < 0 ? r : settle(f, d, ref, &taken);
        if (r < 0) {
            dirty_end_busy(d);
            ref_slots_give(p->refs, ref);
            return r;
        }
    }
    if (ref)
        chunk_cache_insert(p->cache, &id, taken, f->chunk_size);
    else
        chunk_buffers_give(p->buffers, taken, f->chunk_size);
    return ref ? 0 : 1;
}

/* With the lock held: can it be completed without the home? */
static bool is_near(struct file *f, const struct dirty *d)
{
    struct object_ref ref = {0};
    if (d->own == file_blocks(f) || dirty_has(d, 0, file_blocks(f)))
        return true;
    if (d->ref)
        ref.id = d->ref->id;
    else if (holes_find(&f->holes, d->index))
        return true;
    else if (keyring_peek(f->keyring, d->index, &ref) < 0)
        return false;
    secret_wipe(&ref.key, sizeof ref.key);
    return object_id_is_hole(&ref.id) ||
           store_has(site_log_store(f->parcel->config.log), &ref.id) > 0;
}

/* Makes a chunk ready to be encoded, and busy. 1; 0: there is nothing to be encoded now. */
static int prepare(struct file *f, uint64_t index, bool wait)
{
    LOCK_SCOPE(&f->lock);
    struct dirty *d = dirty_find(f, index);
    if (!d || (!wait && d->own > 0 && !is_near(f, d)))
        return 0;
    int r = dirty_complete(f, index);
    d = dirty_find(f, index);
    if (r < 0 || !d)
        return r;
    if (d->own == 0) { /* memory that nobody wrote to in the end */
        dirty_evict(d);
        if (!d->ref)
            dirty_remove(d);
        return 0;
    }
    d->busy = true;
    return 1;
}

/* Completes and encodes one chunk of a batch, and notes it for the next batch of the journal. */
static int flush_item(void *ctx, size_t i)
{
    struct batch *batch = ctx;
    struct file *f = batch->items[batch->from + i].file;
    uint64_t index = batch->items[batch->from + i].index;
    if (f->below)
        return volatile_spill(f, index);
    int r = prepare(f, index, batch->wait);
    if (r <= 0)
        return r;
    r = flush_encode(f, index);
    if (r < 0)
        return r;
    struct op op = {.type = r > 0 ? OP_HOLES : OP_CHUNK,
                    .file_id = f->file_id,
                    .first = index,
                    .last = index + 1};
    return ops_note(batch->parcel, op);
}

static size_t dirty_bytes(struct parcel *p)
{
    LOCK_SCOPE(&p->dirty_lock);
    return p->dirty_bytes;
}

/* As the flusher: encodes what COLLECT finds, until LIMIT bytes are left in memory. What went well
 * stays done. */
static int flush(struct parcel *p, int (*collect)(struct batch *batch), bool wait, size_t limit)
{
    CLEANUP(batch_free) struct batch batch = {.parcel = p, .wait = wait};
    int r = collect(&batch);
    for (; r == 0 && batch.from < batch.count; batch.from += SLICE) {
        if (limit > 0 && dirty_bytes(p) <= limit)
            break;
        size_t left = batch.count - batch.from;
        r = pool_each(p->config.pool, left < SLICE ? left : SLICE, flush_item, &batch);
    }
    return r;
}

/* Forgets the data of chunks that have all of their blocks in the log. */
static void evict_down_to(struct parcel *p, size_t limit)
{
    CLEANUP(batch_free) struct batch batch = {.parcel = p};
    if (collect_loaded(&batch) < 0)
        return;
    for (size_t i = 0; i < batch.count && dirty_bytes(p) > limit; i++) {
        struct file *f = batch.items[i].file;
        LOCK_SCOPE(&f->lock);
        struct dirty *d = dirty_find(f, batch.items[i].index);
        if (d && d->data && !d->busy && d->own > 0 && d->unlogged == 0)
            dirty_evict(d);
    }
}

static int make_room(struct parcel *p)
{
    size_t limit = p->config.dirty_bytes, enough = limit / 4 * 3;
    if (flush(p, collect_loaded, false, enough) == 0 && dirty_bytes(p) <= enough)
        return 0;
    /* what cannot be encoded, for whatever reason, can be logged by block */
    int r = journal_batch(p, false);
    if (r == 0)
        evict_down_to(p, enough);
    return dirty_bytes(p) <= limit ? 0 : r;
}

int flush_make_room(struct parcel *p)
{
    if (!p->config.log || dirty_bytes(p) <= p->config.dirty_bytes)
        return 0;
    flush_token_take(p);
    /* others may have made room meanwhile; a commit by the overflow makes it */
    bool full = !p->overflow && dirty_bytes(p) > p->config.dirty_bytes;
    int r = full ? make_room(p) : 0;
    flush_token_give(p);
    return io_is_full(r) && p->room ? p->room(p->room_ctx) : r;
}

void parcel_set_overflow(struct parcel *p, struct store *overflow)
{
    flush_token_take(p);
    p->overflow = overflow;
    flush_token_give(p);
}

void parcel_set_room(struct parcel *p, int (*room)(void *ctx), void *ctx)
{
    p->room = room;
    p->room_ctx = ctx;
}

int flush_all(struct parcel *p, bool wait)
{
    return flush(p, collect_all, wait, 0);
}

/* Fetching ahead of a commit, so that it does not have to. */

/* Says what is wrong with a chunk whose base is not to be had, unless the home is away; with
 * salvage it is completed all the same. */
static int do_without(struct file *f, uint64_t index, int error)
{
    if (error != -EBADMSG && error != -ENOENT)
        return error;
    LOCK_SCOPE(&f->lock);
    const struct dirty *d = dirty_find(f, index);
    return d && d->busy ? 0 : dirty_complete(f, index);
}

/* The object that a changed chunk lies on, and the nodes on the way to it; then the chunk is
 * complete. No lock and no token; 0 also if nothing is missing. */
int flush_fetch(struct file *f, uint64_t index, bool loaded)
{
    struct parcel *p = f->parcel;
    struct object_ref ref = {0};
    bool far;
    {
        LOCK_SCOPE(&f->lock);
        const struct dirty *d = dirty_find(f, index);
        if (!d || d->own == 0 || (loaded && !d->data))
            return 0;
        far = !d->busy && !is_near(f, d);
        if (d->ref)
            ref = *d->ref;
    }
    int r = object_id_is_hole(&ref.id) ? keyring_lookup(f->keyring, index, &ref) : 0;
    if (r == 0 && far && !object_id_is_hole(&ref.id)) {
        struct chunk *chunk;
        r = chunk_cache_get(p->cache, &ref, f->chunk_size, &chunk);
        if (r == 0) {
            LOCK_SCOPE(&f->lock);
            r = dirty_complete(f, index); /* finds it in the cache */
            chunk_cache_release(p->cache, chunk);
        }
    }
    secret_wipe(&ref, sizeof ref);
    return loaded ? r : do_without(f, index, r);
}

static int fetch_item(void *ctx, size_t i)
{
    struct batch *batch = ctx;
    struct item *item = &batch->items[batch->from + i];
    return flush_fetch(item->file, item->index, false);
}

/* A slice at a time, so that what was fetched does not fill the memory. */
static int settle_all(struct parcel *p)
{
    CLEANUP(batch_free) struct batch batch = {.parcel = p};
    int r = collect_all(&batch);
    for (; r == 0 && batch.from < batch.count; batch.from += SLICE) {
        size_t left = batch.count - batch.from, part = left < SLICE ? left : SLICE;
        r = pool_each(p->config.pool, part, fetch_item, &batch);
        flush_token_take(p);
        int encoded = pool_each(p->config.pool, part, flush_item, &batch);
        flush_token_give(p);
        r = r < 0 ? r : encoded;
    }
    return r;
}

int parcel_settle(struct parcel *p, bool fetch)
{
    if (!p->config.log)
        return -EROFS;
    if (fetch) {
        int r = settle_all(p);
        return r < 0 ? r : save_fetch(p);
    }
    flush_token_take(p);
    int r = flush(p, collect_loaded, false, p->config.dirty_bytes / 16);
    flush_token_give(p);
    return r;
}
