/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chunks go through in batches, as in an import: the workers fetch, open, seal and put those of a
 * batch side by side, then this thread enters them into the new keyring. Holes are passed over
 * unread, and the new keyring is saved whenever a whole subtree is complete. */
#include "isrfs/sync/rekey_file.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/keyring/keyring.h"

#define BATCH_CHUNKS 64u
#define BATCH_BYTES  (32u << 20)
#define SAVE_EVERY   (KEYRING_FANOUT * KEYRING_FANOUT)

struct slot {
    uint64_t index;
    struct object_ref ref; /* the old one, then the new one */
    int error;
    bool reading; /* where the error was */
};

struct rewrite {
    struct rekey_target *target;
    const struct catalog_entry *entry;
    struct keyring *old, *new;
    struct slot slots[BATCH_CHUNKS];
    size_t room, used;
    _Atomic uint64_t objects, bytes;
};

static void rewrite_free(struct rewrite *w)
{
    keyring_free(w->old);
    keyring_free(w->new);
    secret_wipe(w->slots, sizeof w->slots);
}

static int rewrite_chunk(struct rewrite *w, struct slot *slot)
{
    struct rekey_target *t = w->target;
    size_t size = w->entry->chunk_size;
    CLEANUP_BUFFER struct buffer object = {0};
    CLEANUP_SECRET_BUFFER struct buffer chunk = {0};
    slot->reading = true;
    int r = buffer_resize(&chunk, size);
    r = r < 0 ? r : store_get(t->from, &slot->ref.id, &object);
    r = r < 0 ? r
              : codec_decode_checked_chunk(t->codec, &slot->ref, object.data, object.size,
                                           chunk.data, size);
    if (r < 0)
        return r;
    slot->reading = false;
    memset(&slot->ref, 0, sizeof slot->ref);
    if (codec_is_zero(chunk.data, size))
        return 0;
    r = codec_encode_chunk(t->codec, t->secret, chunk.data, size, &object, &slot->ref);
    r = r < 0 ? r : store_put(t->to, &slot->ref.id, object.data, object.size);
    atomic_fetch_add(&w->objects, 1);
    atomic_fetch_add(&w->bytes, object.size);
    return r;
}

/* Runs on the workers. */
static int rewrite_slot(void *ctx, size_t i)
{
    struct rewrite *w = ctx;
    w->slots[i].error = rewrite_chunk(w, &w->slots[i]);
    return w->slots[i].error;
}

static int put_node(void *ctx, const struct object_id *id, const void *object, size_t size)
{
    struct rewrite *w = ctx;
    atomic_fetch_add(&w->objects, 1);
    atomic_fetch_add(&w->bytes, size);
    return store_put(w->target->to, id, object, size);
}

static int explain(const struct rewrite *w, int r, struct failure *failure)
{
    char name[256];
    log_clean(name, sizeof name, w->entry->path);
    for (size_t i = 0; i < w->used; i++)
        if (w->slots[i].error < 0 && w->slots[i].reading)
            return failure_set(failure, outcome_of(w->slots[i].error == -ENOENT ? -EBADMSG : r),
                               "%s: chunk %" PRIu64 " cannot be read: %s (isr verify says more)",
                               name, w->slots[i].index,
                               w->slots[i].error == -ENOENT ? "it is missing"
                                                            : strerror(-w->slots[i].error));
    return failure_set(failure, outcome_of(r), "%s cannot be written anew: %s", name, strerror(-r));
}

static int save(struct rewrite *w, struct object_ref *ret_root, unsigned *ret_height)
{
    return keyring_save(w->new, put_node, w, ret_root, ret_height);
}

static int flush_batch(struct rewrite *w, struct failure *failure)
{
    struct object_ref root;
    unsigned height;
    for (size_t i = 0; i < w->used; i++)
        w->slots[i].error = 0;
    int r = pool_each(w->target->pool, w->used, rewrite_slot, w);
    for (size_t i = 0; r == 0 && i < w->used; i++)
        if (!object_id_is_hole(&w->slots[i].ref.id))
            r = keyring_set(w->new, w->slots[i].index, &w->slots[i].ref);
    if (r == 0 && w->used && (w->slots[w->used - 1].index + 1) % SAVE_EVERY == 0)
        r = save(w, &root, &height);
    if (r < 0)
        return explain(w, r, failure);
    w->used = 0;
    struct rekey_target *t = w->target;
    if (t->progress && t->progress->report)
        t->progress->report(t->progress->ctx, "writing everything anew",
                            t->bytes + atomic_load(&w->bytes), 0);
    return 0;
}

static int rewrite_all(struct rewrite *w, struct failure *failure)
{
    uint64_t size = w->entry->chunk_size;
    uint64_t end = w->entry->size / size + (w->entry->size % size != 0);
    for (uint64_t i = 0;; i++) {
        int r = keyring_next(w->old, i, end, true, &i);
        if (r < 0)
            return explain(w, r, failure);
        if (i >= end)
            return flush_batch(w, failure);
        struct slot *slot = &w->slots[w->used++];
        *slot = (struct slot){.index = i};
        r = keyring_lookup(w->old, i, &slot->ref);
        if (r < 0)
            return explain(w, r, failure);
        if (w->used == w->room || (i + 1) % SAVE_EVERY == 0)
            r = flush_batch(w, failure);
        if (r < 0)
            return r;
    }
}

int rekey_file(struct rekey_target *t, struct catalog_entry *entry, struct failure *failure)
{
    const struct object_ref hole = {0};
    struct keyring_config from = {.codec = t->codec, .store = t->from};
    struct keyring_config to = {.codec = t->codec, .store = t->to, .secret = t->secret};
    CLEANUP(rewrite_free)
    struct rewrite w = {.target = t, .entry = entry, .room = BATCH_BYTES / entry->chunk_size};
    if (w.room > BATCH_CHUNKS)
        w.room = BATCH_CHUNKS;
    w.old = keyring_new(&from, entry->height, &entry->root);
    w.new = keyring_new(&to, 0, &hole);
    if (!w.old || !w.new)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    int r = rewrite_all(&w, failure);
    if (r < 0)
        return r;
    r = save(&w, &entry->root, &entry->height);
    t->objects += atomic_load(&w.objects);
    t->bytes += atomic_load(&w.bytes);
    return r < 0 ? explain(&w, r, failure) : 0;
}
