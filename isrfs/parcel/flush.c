/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Turning changed chunks into objects in the site log, and their keyrings and the catalog too.
 *
 * One thread at a time is the flusher (it holds the token): only it changes keyrings. It takes the
 * oldest changed chunks in batches, has the pool complete and encode them side by side, and then
 * sets their entries. Holes are applied to a keyring before entries of the same file are set; a
 * chunk that was written after it became a hole is set last, and leaves the set of holes under the
 * lock under which it leaves the changed chunks, so that a reader sees either. */
#include <string.h>

#include "isrfs/base/secret.h"
#include "isrfs/parcel/parcel_internal.h"

#define BATCH 64

struct item {
    struct file *file; /* with a reference */
    uint64_t index;
    bool encoded;
    struct object_ref ref; /* of the encoded chunk; a hole when it is all zeros */
};

struct batch {
    struct parcel *parcel;
    size_t count;
    struct item items[BATCH];
};

static void token_take(struct parcel *p)
{
    LOCK_SCOPE(&p->flush_lock);
    while (p->flush_busy)
        pthread_cond_wait(&p->flush_changed, &p->flush_lock);
    p->flush_busy = true;
}

static void token_give(struct parcel *p)
{
    LOCK_SCOPE(&p->flush_lock);
    p->flush_busy = false;
    pthread_cond_signal(&p->flush_changed);
}

/* The oldest changed chunks of files that have a name (what is unlinked is never written). */
static void collect(struct parcel *p, struct batch *batch)
{
    LOCK_SCOPE(&p->names);
    LOCK_SCOPE(&p->dirty_lock);
    batch->parcel = p;
    batch->count = 0;
    for (struct dirty *d = p->dirty_list; d && batch->count < BATCH; d = d->next) {
        if (d->file->unlinked)
            continue;
        d->file->references++;
        batch->items[batch->count++] = (struct item){.file = d->file, .index = d->index};
    }
}

/* With the file's lock held. */
static void end_flushing(struct file *f, struct dirty *d)
{
    d->flushing = false;
    pthread_cond_broadcast(&f->flushed);
}

static int encode(struct parcel *p, const struct file *f, const uint8_t *data,
                  struct object_ref *ret)
{
    if (codec_is_zero(data, f->chunk_size)) {
        memset(ret, 0, sizeof *ret);
        return 0;
    }
    CLEANUP_BUFFER struct buffer object = {0};
    int r =
        codec_encode_chunk(p->config.codec, p->config.secret, data, f->chunk_size, &object, ret);
    r = r < 0 ? r : store_put(site_log_store(p->config.log), &ret->id, object.data, object.size);
    if (r == 0)
        COUNT(p->config.counters, chunks_encoded, 1);
    return r;
}

/* Completes and encodes one chunk; it stays `flushing` when that went well. */
static int encode_item(void *ctx, size_t i)
{
    struct batch *batch = ctx;
    struct item *item = &batch->items[i];
    struct file *f = item->file;
    const uint8_t *data;
    {
        LOCK_SCOPE(&f->lock);
        int r = dirty_complete(f, item->index);
        struct dirty *d = dirty_find(f, item->index);
        if (r < 0 || !d)
            return r;
        d->flushing = true;
        data = d->data;
    }
    int r = encode(batch->parcel, f, data, &item->ref);
    if (r == 0) {
        item->encoded = true;
        return 0;
    }
    LOCK_SCOPE(&f->lock);
    end_flushing(f, dirty_find(f, item->index));
    return r;
}

/* Applies the set of holes to the keyring. As the flusher. */
static int apply_holes(struct file *f)
{
    CLEANUP_FREE struct hole_range *ranges = NULL;
    size_t count;
    {
        LOCK_SCOPE(&f->lock);
        count = f->holes.count;
        if (count == 0)
            return 0;
        ranges = malloc(count * sizeof *ranges);
        if (!ranges)
            return -ENOMEM;
        memcpy(ranges, f->holes.ranges, count * sizeof *ranges);
    }
    for (size_t i = 0; i < count; i++) {
        int r = keyring_clear(f->keyring, ranges[i].first, ranges[i].last);
        if (r < 0)
            return r;
        LOCK_SCOPE(&f->lock);
        r = holes_remove(&f->holes, ranges[i].first, ranges[i].last);
        f->generation++;
        if (r < 0)
            return r;
    }
    return 0;
}

/* Moves an encoded chunk from the changed ones to the keyring and the cache. As the flusher. */
static int settle(struct parcel *p, struct item *item)
{
    struct file *f = item->file;
    int r = keyring_set(f->keyring, item->index, &item->ref);
    uint8_t *data = NULL;
    {
        LOCK_SCOPE(&f->lock);
        struct dirty *d = dirty_find(f, item->index);
        r = r < 0 ? r : holes_remove(&f->holes, item->index, item->index + 1);
        end_flushing(f, d);
        if (r < 0)
            return r;
        f->generation++;
        dirty_remove(d, &data);
    }
    if (object_id_is_hole(&item->ref.id))
        chunk_buffers_give(p->buffers, data, f->chunk_size);
    else
        chunk_cache_insert(p->cache, &item->ref.id, data, f->chunk_size);
    return 0;
}

/* As the flusher: flushes a batch of the oldest. The number of chunks (0: nothing is changed), or
 * negative errno; what went well stays done. */
static int flush_batch(struct parcel *p)
{
    struct batch batch;
    collect(p, &batch);
    int r = 0;
    for (size_t i = 0; r == 0 && i < batch.count; i++)
        r = apply_holes(batch.items[i].file);
    if (r == 0)
        r = pool_each(p->config.pool, batch.count, encode_item, &batch);
    for (size_t i = 0; i < batch.count; i++) {
        struct item *item = &batch.items[i];
        int settled = item->encoded ? settle(p, item) : 0;
        r = r < 0 ? r : settled;
        secret_wipe(&item->ref, sizeof item->ref);
        file_put(item->file);
    }
    return r < 0 ? r : (int)batch.count;
}

static size_t dirty_bytes(struct parcel *p)
{
    LOCK_SCOPE(&p->dirty_lock);
    return p->dirty_bytes;
}

int flush_make_room(struct parcel *p)
{
    if (!p->config.log || dirty_bytes(p) <= p->config.dirty_bytes)
        return 0;
    token_take(p);
    int r = 1;
    while (r > 0 && dirty_bytes(p) > p->config.dirty_bytes / 4 * 3)
        r = flush_batch(p);
    token_give(p);
    return r < 0 ? r : 0;
}

/* Keyrings and catalog. */

static int put_object(void *ctx, const struct object_id *id, const void *object, size_t size)
{
    struct parcel *p = ctx;
    return store_put(site_log_store(p->config.log), id, object, size);
}

static int save_file(struct parcel *p, struct file *f, struct catalog_entry *entry)
{
    int r = apply_holes(f);
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
    token_take(p);
    int r;
    do {
        r = flush_batch(p);
    } while (r > 0);
    r = r < 0 ? r : save_catalog(p, ret_catalog);
    token_give(p);
    return r;
}
