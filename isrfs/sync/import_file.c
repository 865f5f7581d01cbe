/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chunks go through in batches. The workers read, encode and put the chunks of a batch side by
 * side; when the last one is done this thread enters them into the keyring, which only one thread
 * may change. Memory is the batch's, whatever the file's size. The keyring is saved whenever a
 * whole subtree is complete, so that it does not grow with the file either. */
#include "isrfs/sync/import_file.h"

#include <stdatomic.h>
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/keyring/keyring.h"

#define BATCH_CHUNKS 64u
#define BATCH_BYTES  (32u << 20)
#define BATCH_MIN    4u
#define SAVE_EVERY   (KEYRING_FANOUT * KEYRING_FANOUT) /* chunks below a node of level 1 */

struct slot {
    uint64_t index;
    struct buffer chunk, object;
    struct object_ref ref; /* a hole if the chunk is zeros */
};

struct batch {
    struct import_target *target;
    struct import_source *source;
    uint64_t size; /* of the source */
    struct slot *slots;
    size_t room, used;
    _Atomic int read_error, write_error; /* the first ones */
};

static void batch_free(struct batch *b)
{
    for (size_t i = 0; b->slots && i < b->room; i++) {
        buffer_free_secret(&b->slots[i].chunk);
        buffer_free(&b->slots[i].object);
        secret_wipe(&b->slots[i].ref, sizeof b->slots[i].ref);
    }
    free(b->slots);
}

static int batch_open(struct batch *b)
{
    b->room = BATCH_BYTES / b->target->chunk_size;
    b->room = b->room > BATCH_CHUNKS ? BATCH_CHUNKS : b->room < BATCH_MIN ? BATCH_MIN : b->room;
    b->slots = calloc(b->room, sizeof *b->slots);
    if (!b->slots)
        return -ENOMEM;
    for (size_t i = 0; i < b->room; i++)
        if (buffer_resize(&b->slots[i].chunk, b->target->chunk_size) < 0)
            return -ENOMEM;
    return 0;
}

static int note_error(_Atomic int *error, int r)
{
    int none = 0;
    if (r < 0)
        atomic_compare_exchange_strong(error, &none, r);
    return r;
}

/* Runs on the workers. */
static int store_chunk(void *ctx, size_t i)
{
    struct batch *b = ctx;
    struct import_target *t = b->target;
    struct slot *slot = &b->slots[i];
    uint64_t offset = slot->index * t->chunk_size;
    size_t size = b->size - offset < t->chunk_size ? (size_t)(b->size - offset) : t->chunk_size;
    int r = import_source_read(b->source, slot->chunk.data, size, offset);
    if (r < 0)
        return note_error(&b->read_error, r);
    memset(slot->chunk.data + size, 0, t->chunk_size - size);
    memset(&slot->ref, 0, sizeof slot->ref);
    if (codec_is_zero(slot->chunk.data, t->chunk_size))
        return 0;
    r = codec_encode_chunk(t->codec, t->secret, slot->chunk.data, t->chunk_size, &slot->object,
                           &slot->ref);
    r = r < 0 ? r : store_put(t->store, &slot->ref.id, slot->object.data, slot->object.size);
    return note_error(&b->write_error, r);
}

static int put_node(void *ctx, const struct object_id *id, const void *object, size_t size)
{
    return store_put(ctx, id, object, size);
}

/* Stores what the batch holds and enters it into the keyring. */
static int batch_flush(struct batch *b, struct keyring *keyring, struct catalog_entry *entry)
{
    struct import_target *t = b->target;
    int r = pool_each(t->pool, b->used, store_chunk, b);
    for (size_t i = 0; r == 0 && i < b->used; i++) {
        struct slot *slot = &b->slots[i];
        if (object_id_is_hole(&slot->ref.id))
            continue;
        t->data_bytes += t->chunk_size;
        r = keyring_set(keyring, slot->index, &slot->ref);
    }
    if (r == 0 && b->used && (b->slots[b->used - 1].index + 1) % SAVE_EVERY == 0)
        r = keyring_save(keyring, put_node, t->store, &entry->root, &entry->height);
    b->used = 0;
    return r;
}

static void report(const struct import_target *t, const char *name, uint64_t done)
{
    char text[320];
    if (!t->progress)
        return;
    snprintf(text, sizeof text, "importing %s", name);
    t->progress->report(t->progress->ctx, text, t->done + done, t->total);
}

static int explain(const struct batch *b, const char *name, int r, struct failure *f)
{
    int error = atomic_load(&b->read_error);
    if (error == -ENODATA)
        return failure_set(f, OUTCOME_FAILED, "%s became shorter while it was read", name);
    if (error < 0)
        return failure_set(f, OUTCOME_DAMAGED, "%s: cannot be read: %s", name, strerror(-error));
    return failure_set(f, outcome_of(r), "%s: cannot be written to the store: %s", name,
                       strerror(-r));
}

/* Puts the chunks of [START, END) into batches, from chunk FIRST on; gives the chunk after. */
static int import_stretch(struct batch *b, struct keyring *keyring, const char *name,
                          uint64_t first, uint64_t end, struct catalog_entry *entry,
                          struct failure *failure)
{
    uint32_t chunk_size = b->target->chunk_size;
    for (uint64_t i = first; i * chunk_size < end; i++) {
        b->slots[b->used++].index = i;
        if (b->used < b->room && (i + 1) % SAVE_EVERY != 0)
            continue;
        int r = batch_flush(b, keyring, entry);
        if (r < 0)
            return explain(b, name, r, failure);
        report(b->target, name, (i + 1) * chunk_size < b->size ? (i + 1) * chunk_size : b->size);
    }
    return 0;
}

static int import_data(struct batch *b, struct keyring *keyring, const char *name,
                       struct catalog_entry *entry, struct failure *failure)
{
    uint32_t chunk_size = b->target->chunk_size;
    uint64_t next = 0; /* the first chunk that was not looked at */
    while (next * chunk_size < b->size) {
        uint64_t start, end;
        int r = import_source_next(b->source, next * chunk_size, &start, &end, failure);
        if (r < 0)
            return r;
        if (start >= b->size)
            break;
        next = start / chunk_size > next ? start / chunk_size : next;
        r = import_stretch(b, keyring, name, next, end, entry, failure);
        if (r < 0)
            return r;
        next = (end + chunk_size - 1) / chunk_size;
    }
    int r = batch_flush(b, keyring, entry);
    r = r < 0 ? r : keyring_save(keyring, put_node, b->target->store, &entry->root, &entry->height);
    return r < 0 ? explain(b, name, r, failure) : 0;
}

int import_file(struct import_target *t, struct import_source *source, const char *name,
                struct catalog_entry *entry, struct failure *failure)
{
    char clean[256];
    log_clean(clean, sizeof clean, name);
    CLEANUP(batch_free)
    struct batch b = {.target = t, .source = source, .size = import_source_info(source)->size};
    struct keyring_config config = {.codec = t->codec, .store = t->store, .secret = t->secret};
    const struct object_ref hole = {0};
    int r = batch_open(&b);
    struct keyring *keyring = r < 0 ? NULL : keyring_new(&config, 0, &hole);
    if (!keyring)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    entry->size = b.size;
    entry->chunk_size = t->chunk_size;
    report(t, clean, 0);
    r = import_data(&b, keyring, clean, entry, failure);
    keyring_free(keyring);
    if (r == 0 && import_source_unchanged(source) < 0)
        r = failure_set(failure, OUTCOME_FAILED,
                        "%s was changed while it was read; stop what writes to it and try again",
                        clean);
    t->done += r < 0 ? 0 : b.size;
    report(t, clean, 0);
    return r;
}
