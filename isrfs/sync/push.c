/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keyrings of the two catalogs are walked side by side, file by file; where ids are the same,
 * nothing below can differ. What differs is collected in batches that the pool carries over side by
 * side.
 *
 * An object is in the log, because whatever this check-out encoded was put there; else it must have
 * been carried home before (the log was trimmed after a checkpoint), and is read back there: a name
 * alone proves nothing. */
#include "isrfs/sync/push.h"

#include <stdatomic.h>
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/keyring/walk.h"

#define BATCH 128

struct pusher {
    struct checkout *checkout;
    const struct push_request *request;
    uint64_t total; /* bytes in the log: an upper bound of what there is to carry */
    _Atomic uint64_t objects, bytes;
    struct object_id batch[BATCH];
    size_t count;
};

static int carry(struct pusher *p, const struct object_id *id)
{
    struct checkout *c = p->checkout;
    CLEANUP_BUFFER struct buffer object = {0};
    int r = store_get(site_log_store(c->log), id, &object);
    if (r == -ENOENT)
        r = store_get(c->home, id, &object);
    else if (r == 0)
        r = store_put(c->home, id, object.data, object.size);
    if (r < 0) {
        char hex[OBJECT_ID_HEX + 1];
        object_id_to_hex(id, hex);
        log_error("object %s cannot be brought home: %s", hex, strerror(-r));
        return r;
    }
    atomic_fetch_add(&p->objects, 1);
    atomic_fetch_add(&p->bytes, object.size);
    return 0;
}

static int carry_one(void *ctx, size_t i)
{
    struct pusher *p = ctx;
    return carry(p, &p->batch[i]);
}

static int carry_batch(struct pusher *p)
{
    const struct progress *progress = p->request->progress;
    if (p->request->stop && atomic_load(p->request->stop))
        return -ECANCELED;
    int r = pool_each(p->checkout->pool, p->count, carry_one, p);
    p->count = 0;
    if (r == 0 && progress && progress->report) {
        uint64_t done = atomic_load(&p->bytes);
        progress->report(progress->ctx, "bringing changes home", done,
                         done > p->total ? done : p->total);
    }
    return r;
}

static int visit(void *ctx, enum object_kind kind, const struct object_id *id, uint64_t index,
                 const void *object, size_t size)
{
    (void)kind, (void)index, (void)object, (void)size;
    struct pusher *p = ctx;
    p->batch[p->count++] = *id;
    return p->count == BATCH ? carry_batch(p) : 0;
}

static const struct catalog_entry *find_id(const struct catalog *catalog, uint64_t file_id)
{
    for (size_t i = 0; i < catalog->count; i++)
        if (catalog->entries[i].file_id == file_id)
            return &catalog->entries[i];
    return NULL;
}

static int push_files(struct pusher *p, const struct catalog *wanted, const struct catalog *base,
                      uint64_t *ret_size)
{
    struct walk_visitor visitor = {.object = visit, .ctx = p};
    for (size_t i = 0; i < wanted->count; i++) {
        const struct catalog_entry *entry = &wanted->entries[i];
        *ret_size += entry->size;
        if (entry->is_folder || object_id_is_hole(&entry->root.id))
            continue;
        const struct catalog_entry *before = find_id(base, entry->file_id);
        bool comparable = before && !before->is_folder;
        int r = walk_tree(p->checkout->stack, p->checkout->codec, &entry->root.id,
                          comparable ? &before->root.id : NULL, &visitor);
        if (r < 0)
            return r;
    }
    return carry_batch(p);
}

int push(struct checkout *c, const struct push_request *request, struct push_result *ret)
{
    CLEANUP_CATALOG struct catalog *wanted = NULL;
    CLEANUP_CATALOG struct catalog *base = NULL;
    int r = catalog_load(c->stack, c->codec, request->wanted, &wanted);
    r = r < 0 ? r : catalog_load(c->stack, c->codec, request->base, &base);
    if (r < 0)
        return r;
    struct pusher p = {.checkout = c, .request = request, .total = site_log_bytes(c->log)};
    *ret = (struct push_result){0};
    store_put_again(c->home); /* all that WANTED needs beyond BASE */
    r = push_files(&p, wanted, base, &ret->size);
    r = r < 0 ? r : carry(&p, &request->wanted->id);
    r = r < 0 ? r : store_barrier(c->home);
    ret->objects = atomic_load(&p.objects);
    ret->bytes = atomic_load(&p.bytes);
    return r;
}
