/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Turning changed chunks into objects in the site log, and for a commit their keyrings and the
 * catalog too.
 *
 * One thread at a time is the flusher (it holds the token): only it makes chunks busy and changes
 * keyrings. Encoding settles a chunk: its ref stands beside the keyring, so that nothing of the
 * tree has to be fetched. A commit applies holes and then refs to the keyrings (a chunk that became
 * a hole lost its ref) and saves them. */
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/parcel/parcel_internal.h"

#define BATCH 64

struct item {
    struct file *file; /* with a reference */
    uint64_t index;
};

struct batch {
    struct parcel *parcel;
    size_t count;
    struct item items[BATCH];
};

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

static void add_item(struct batch *batch, struct file *f, uint64_t index)
{
    f->references++;
    batch->items[batch->count++] = (struct item){.file = f, .index = index};
}

/* The oldest chunks with data, of files that have a name (what is unlinked is never written). */
static void collect_loaded(struct parcel *p, struct batch *batch)
{
    LOCK_SCOPE(&p->names);
    LOCK_SCOPE(&p->dirty_lock);
    for (struct dirty *d = p->dirty_list; d && batch->count < BATCH; d = d->next)
        if (!d->file->unlinked)
            add_item(batch, d->file, d->index);
}

/* Chunks whose blocks are in the log only. */
static void collect_evicted(struct parcel *p, struct batch *batch)
{
    LOCK_SCOPE(&p->names);
    for (struct file *f = p->files; f; f = f->hh_id.next) {
        LOCK_SCOPE(&f->lock);
        for (struct dirty *d = f->dirty; d && !f->unlinked; d = d->hh.next) {
            if (batch->count == BATCH)
                return;
            if (d->own > 0 && !d->data)
                add_item(batch, f, d->index);
        }
    }
}

static int put_object(void *ctx, const struct object_id *id, const void *object, size_t size)
{
    struct parcel *p = ctx;
    return store_put(site_log_store(p->config.log), id, object, size);
}

/* All zeros: *RET stays NULL. */
static int encode(struct parcel *p, const struct file *f, const uint8_t *data,
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
    r = r < 0 ? r : put_object(p, &ref->id, object.data, object.size);
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
    int r = encode(p, f, data, &ref);
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

/* Completes and encodes one chunk of a batch, and notes it for the next batch of the journal. */
static int flush_item(void *ctx, size_t i)
{
    struct batch *batch = ctx;
    struct file *f = batch->items[i].file;
    uint64_t index = batch->items[i].index;
    {
        LOCK_SCOPE(&f->lock);
        int r = dirty_complete(f, index);
        struct dirty *d = dirty_find(f, index);
        if (r < 0 || !d)
            return r;
        if (d->own == 0) { /* memory that nobody wrote to in the end */
            dirty_evict(d);
            if (!d->ref)
                dirty_remove(d);
            return 0;
        }
        d->busy = true;
    }
    int r = flush_encode(f, index);
    if (r < 0)
        return r;
    struct op op = {.type = r > 0 ? OP_HOLES : OP_CHUNK,
                    .file_id = f->file_id,
                    .first = index,
                    .last = index + 1};
    return ops_note(batch->parcel, op);
}

/* As the flusher: flushes what COLLECT finds. The number of chunks (0: there are none), or negative
 * errno; what went well stays done. */
static int flush_batch(struct parcel *p, void (*collect)(struct parcel *p, struct batch *batch))
{
    struct batch batch = {.parcel = p};
    collect(p, &batch);
    int r = pool_each(p->config.pool, batch.count, flush_item, &batch);
    for (size_t i = 0; i < batch.count; i++)
        file_put(batch.items[i].file);
    return r < 0 ? r : (int)batch.count;
}

static size_t dirty_bytes(struct parcel *p)
{
    LOCK_SCOPE(&p->dirty_lock);
    return p->dirty_bytes;
}

/* Settles the oldest chunks until LIMIT bytes are left in memory. */
static int flush_down_to(struct parcel *p, size_t limit)
{
    int r = 1;
    while (r > 0 && dirty_bytes(p) > limit)
        r = flush_batch(p, collect_loaded);
    return r < 0 ? r : 0;
}

/* Forgets the data of chunks that have all of their blocks in the log. */
static void evict_down_to(struct parcel *p, size_t limit)
{
    for (bool some = true; some && dirty_bytes(p) > limit;) {
        struct batch batch = {.parcel = p};
        some = false;
        collect_loaded(p, &batch);
        for (size_t i = 0; i < batch.count; i++) {
            struct file *f = batch.items[i].file;
            {
                LOCK_SCOPE(&f->lock);
                struct dirty *d = dirty_find(f, batch.items[i].index);
                if (d && d->data && !d->busy && d->own > 0 && d->unlogged == 0) {
                    dirty_evict(d);
                    some = true;
                }
            }
            file_put(f);
        }
    }
}

/* A chunk whose base cannot be had now (its home is away) cannot be encoded; its blocks can be
 * logged. */
int flush_make_room(struct parcel *p)
{
    size_t limit = p->config.dirty_bytes;
    if (!p->config.log || dirty_bytes(p) <= limit)
        return 0;
    flush_token_take(p);
    int r = flush_down_to(p, limit / 4 * 3);
    if (r < 0) {
        int logged = journal_batch(p, false);
        if (logged == 0)
            evict_down_to(p, limit / 4 * 3);
        if (dirty_bytes(p) <= limit)
            r = 0;
        else
            r = logged < 0 ? logged : r;
    }
    flush_token_give(p);
    return r;
}

int parcel_settle(struct parcel *p)
{
    if (!p->config.log)
        return -EROFS;
    flush_token_take(p);
    int r = flush_down_to(p, p->config.dirty_bytes / 16);
    flush_token_give(p);
    return r < 0 ? r : ready_nodes(p);
}

/* Keyrings and catalog. */

/* Applies the set of holes to the keyring. As the flusher, frozen. */
static int apply_holes(struct file *f)
{
    for (;;) {
        struct hole_range range;
        {
            LOCK_SCOPE(&f->lock);
            if (f->holes.count == 0)
                return 0;
            range = f->holes.ranges[f->holes.count - 1];
        }
        int r = keyring_clear(f->keyring, range.first, range.last);
        if (r < 0) { /* only its ends may lie in nodes that have to be read */
            r = salvage_node(f, range.first, r);
            r = r < 0 ? r : salvage_node(f, range.last - 1, -EBADMSG);
            r = r < 0 ? r : keyring_clear(f->keyring, range.first, range.last);
        }
        if (r < 0)
            return r;
        LOCK_SCOPE(&f->lock);
        f->generation++;
        r = holes_remove(&f->holes, range.first, range.last);
        if (r < 0)
            return r;
    }
}

/* Moves settled chunks into the keyring. As the flusher, frozen. */
static int apply_refs(struct file *f)
{
    for (;;) {
        struct object_ref *ref;
        uint64_t index;
        {
            LOCK_SCOPE(&f->lock);
            if (!f->dirty)
                return 0;
            index = f->dirty->index;
            ref = f->dirty->ref;
        }
        int r = keyring_set(f->keyring, index, ref);
        if (r < 0 && (r = salvage_node(f, index, r)) == 0)
            r = keyring_set(f->keyring, index, ref);
        if (r < 0)
            return r;
        LOCK_SCOPE(&f->lock);
        f->generation++;
        dirty_remove(f->dirty);
    }
}

static int save_file(struct parcel *p, struct file *f, struct catalog_entry *entry)
{
    int r = apply_holes(f);
    r = r < 0 ? r : apply_refs(f);
    return r < 0 ? r : keyring_save(f->keyring, put_object, p, &entry->root, &entry->height);
}

/* Adds a file to the catalog. Frozen, as the flusher. */
static int list_file(struct parcel *p, struct file *f, struct catalog *catalog)
{
    CLEANUP_FREE char *path = file_path(f);
    if (!path)
        return -ENOMEM;
    struct catalog_entry entry = {
        .file_id = f->file_id,
        .path = path,
        .is_folder = f->is_folder,
        .is_volatile = f->is_volatile,
    };
    {
        LOCK_SCOPE(&f->lock);
        entry.mode = f->mode;
        entry.mtime = f->mtime;
        entry.size = f->size;
        entry.chunk_size = f->chunk_size;
    }
    int r = f->is_folder ? 0 : save_file(p, f, &entry);
    r = r < 0 ? r : catalog_add(catalog, &entry);
    secret_wipe(&entry, sizeof entry);
    return r;
}

struct list {
    struct file **files; /* each with a reference */
    size_t count;
};

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        file_put(list->files[i]);
    free(list->files);
}

/* With p->names held: all that have a name, each folder before what is in it. */
static void list_below(struct list *list, struct file *folder)
{
    for (struct file *f = folder->children; f; f = f->hh_name.next) {
        f->references++;
        list->files[list->count++] = f;
        list_below(list, f);
    }
}

static int list_all(struct parcel *p, struct list *list, uint64_t *ret_next_file_id)
{
    LOCK_SCOPE(&p->names);
    list->files = calloc(HASH_CNT(hh_id, p->files), sizeof(struct file *));
    if (!list->files)
        return -ENOMEM;
    list_below(list, p->root);
    *ret_next_file_id = p->next_file_id;
    return 0;
}

static int save_catalog(struct parcel *p, struct object_ref *ret)
{
    CLEANUP_CATALOG struct catalog *catalog = catalog_new();
    CLEANUP(list_free) struct list list = {0};
    if (!catalog)
        return -ENOMEM;
    int r = list_all(p, &list, &catalog->next_file_id);
    for (size_t i = 0; r == 0 && i < list.count; i++)
        r = list_file(p, list.files[i], catalog);
    CLEANUP_BUFFER struct buffer object = {0};
    r = r < 0 ? r : catalog_encode(p->config.codec, p->config.secret, catalog, &object, ret);
    return r < 0 ? r : put_object(p, &ret->id, object.data, object.size);
}

int parcel_flush(struct parcel *p, struct object_ref *ret_catalog)
{
    if (!p->config.log)
        return -EROFS;
    int r;
    do {
        r = flush_batch(p, collect_loaded);
    } while (r > 0);
    while (r == 0 && (r = flush_batch(p, collect_evicted)) > 0)
        r = 0;
    if (r == 0 && !p->half_committed)
        r = ready_nodes(p);
    if (r == 0) {
        p->half_committed = true;
        r = save_catalog(p, ret_catalog);
    }
    return r;
}

void parcel_committed(struct parcel *p)
{
    ops_free(ops_take(p));
    journal_forget_attrs(p);
    p->half_committed = false;
}
