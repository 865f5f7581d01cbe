/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Doing without what is damaged or missing. Three things may be: an object that this site made and
 * its log has no more (a chunk, or a node, and then all below it); the base of a chunk that was
 * written in part; a node at home on the way to a chunk that was changed. The first gets back what
 * the base has there, before the journal is replayed on top; the others become zeros, when a commit
 * cannot go on without them.
 *
 * "Missing" is only what a store that answers does not have: one that is away is waited for, and
 * never given up. */
#include "isrfs/parcel/parcel_internal.h"

#include <string.h>

#include "isrfs/base/secret.h"
#include "isrfs/keyring/walk.h"

static bool is_gone(int r)
{
    return r == -EBADMSG || r == -ENOENT;
}

int salvage_is_gone(struct parcel *p, const struct object_id *id)
{
    if (p->config.log && store_has(site_log_store(p->config.log), id) > 0)
        return 0; /* its record was read when the log was opened */
    CLEANUP_BUFFER struct buffer object = {0};
    int r = store_get(p->config.store, id, &object);
    return is_gone(r) ? 1 : r;
}

/* --- what was committed --- */

/* The walk through one file. */
struct walker {
    struct parcel *parcel;
    struct file *file;
    unsigned height;
    struct keyring *base;            /* of the file in the base; NULL: none */
    uint64_t at[KEYRING_HEIGHT_MAX]; /* the first chunk below the node of each level seen last */
    bool seen[KEYRING_HEIGHT_MAX];
};

static uint64_t chunks_of(const struct file *f)
{
    return (f->size + f->chunk_size - 1) / f->chunk_size;
}

/* How many chunks lie below a node of that level. */
static uint64_t span_of(unsigned level)
{
    uint64_t span = KEYRING_FANOUT;
    for (; level > 0 && span < UINT64_MAX / KEYRING_FANOUT; level--)
        span *= KEYRING_FANOUT;
    return span;
}

/* Entries FIRST to LAST - 1 as the base has them. */
static int put_back(struct walker *w, uint64_t first, uint64_t last)
{
    struct file *f = w->file;
    int r = file_punch(f, first, last);
    uint64_t end = last < chunks_of(f) ? last : chunks_of(f);
    for (uint64_t i = first; r == 0 && i < end; i++) {
        struct object_ref ref = {0};
        bool some = w->base && keyring_lookup(w->base, i, &ref) == 0 && !object_id_is_hole(&ref.id);
        r = some ? replay_settle(f, i, &ref) : 0;
        secret_wipe(&ref, sizeof ref);
        r = r < 0 ? r
                  : losses_note_chunk(w->parcel->losses, f->file_id, i, file_blocks(f),
                                      some ? LOSS_OLDER : LOSS_ZEROS);
    }
    atomic_fetch_add(&w->parcel->changes, 1);
    return r;
}

static int reached(void *ctx, enum object_kind kind, const struct object_id *id, uint64_t index,
                   const void *object, size_t size)
{
    struct walker *w = ctx;
    if (kind == OBJECT_NODE) {
        unsigned level = size > OBJECT_HEADER_SIZE ? ((const uint8_t *)object)[OBJECT_HEADER_SIZE]
                                                   : KEYRING_HEIGHT_MAX;
        if (level >= KEYRING_HEIGHT_MAX)
            return -EBADMSG;
        w->at[level] = index;
        w->seen[level] = true;
        return 0;
    }
    int r = kind == OBJECT_CHUNK ? salvage_is_gone(w->parcel, id) : 0;
    return r > 0 ? put_back(w, index, index + 1) : r;
}

/* A node that cannot be read is one level below the lowest of those seen that it lies under. */
static int unreadable(void *ctx, const struct object_id *id, uint64_t index, int error)
{
    (void)id;
    struct walker *w = ctx;
    unsigned level = w->height ? w->height - 1 : 0;
    if (!is_gone(error))
        return error;
    for (unsigned above = 1; above < KEYRING_HEIGHT_MAX; above++)
        if (w->seen[above] && index >= w->at[above] && index - w->at[above] < span_of(above)) {
            level = above - 1;
            break;
        }
    return put_back(w, index, index + span_of(level));
}

static int salvage_file(struct parcel *p, const struct catalog_entry *entry,
                        const struct catalog_entry *before)
{
    struct walker w = {.parcel = p, .file = file_find(p, entry->file_id), .height = entry->height};
    bool comparable = before && !before->is_folder && before->chunk_size == entry->chunk_size;
    if (!w.file)
        return 0;
    if (comparable) {
        struct keyring_config config = {.codec = p->config.codec, .store = p->config.store};
        w.base = keyring_new(&config, before->height, &before->root);
        if (!w.base)
            return -ENOMEM;
    }
    struct walk_visitor visitor = {.object = reached, .bad = unreadable, .ctx = &w};
    int r = walk_tree(p->config.store, p->config.codec, &entry->root.id,
                      comparable ? &before->root.id : NULL, &visitor);
    keyring_free(w.base);
    return r;
}

int salvage_tree(struct parcel *p, const struct catalog *catalog)
{
    CLEANUP_CATALOG struct catalog *base = NULL;
    int r =
        p->config.base ? catalog_load(p->config.store, p->config.codec, p->config.base, &base) : 0;
    r = is_gone(r) ? 0 : r;
    for (size_t i = 0; r == 0 && i < catalog->count; i++) {
        const struct catalog_entry *entry = &catalog->entries[i], *before = NULL;
        for (size_t k = 0; base && !before && k < base->count; k++)
            if (base->entries[k].file_id == entry->file_id)
                before = &base->entries[k];
        if (!entry->is_folder && !object_id_is_hole(&entry->root.id))
            r = salvage_file(p, entry, before);
    }
    return r;
}

/* --- while committing --- */

bool salvage_base_is_gone(struct file *f, uint64_t index, const struct object_ref *changed)
{
    struct parcel *p = f->parcel;
    struct object_ref ref;
    if (!p->losses)
        return false;
    int r = 0;
    if (changed)
        ref = *changed;
    else
        r = keyring_lookup(f->keyring, index, &ref);
    struct chunk *chunk = NULL;
    if (r == 0 && !object_id_is_hole(&ref.id))
        r = chunk_cache_get(p->cache, &ref, f->chunk_size, &chunk);
    if (chunk)
        chunk_cache_release(p->cache, chunk);
    secret_wipe(&ref, sizeof ref);
    return is_gone(r);
}

int salvage_note_base(const struct dirty *d)
{
    const struct file *f = d->file;
    struct block_set others = {.size = sizeof others.bits};
    for (unsigned i = 0; i < file_blocks(f); i++)
        if (!dirty_own(d, i))
            others.bits[i / 8] |= (uint8_t)(1u << (i % 8));
    return losses_note(f->parcel->losses, f->file_id, d->index, others.bits, others.size,
                       LOSS_ZEROS);
}

/* Chunks below a node that was dropped, but those that are known without it. */
static int note_dropped(struct file *f, uint64_t first, uint64_t last)
{
    LOCK_SCOPE(&f->lock);
    uint64_t end = last < chunks_of(f) ? last : chunks_of(f);
    int r = 0;
    for (uint64_t i = first; r == 0 && i < end; i++)
        if (!dirty_find(f, i) && !holes_find(&f->holes, i))
            r = losses_note_chunk(f->parcel->losses, f->file_id, i, file_blocks(f), LOSS_ZEROS);
    return r;
}

int salvage_node(struct file *f, uint64_t index, int error)
{
    struct object_ref ref;
    if (!f->parcel->losses || !is_gone(error))
        return error;
    for (unsigned level = 0; level < KEYRING_HEIGHT_MAX; level++) {
        int r = keyring_lookup(f->keyring, index, &ref);
        secret_wipe(&ref, sizeof ref);
        if (!is_gone(r))
            return r;
        uint64_t span = span_of(level), first = index / span * span;
        r = keyring_clear(f->keyring, first, first + span);
        r = r < 0 ? r : note_dropped(f, first, first + span);
        if (r < 0 && !is_gone(r))
            return r;
    }
    return error;
}

/* --- telling --- */

void parcel_recovered(struct parcel *p, struct parcel_recovered *ret)
{
    *ret = p->recovered;
}

void parcel_lost(struct parcel *p, uint64_t *ret_operations, uint64_t *ret_records)
{
    *ret_operations = p->losses ? losses_operations(p->losses) : 0;
    *ret_records = p->missing;
}

/* Runs of blocks that touch become one loss. */
struct teller {
    struct parcel *parcel;
    int (*fn)(void *ctx, const struct parcel_loss *loss);
    void *ctx;
    struct parcel_loss pending; /* size 0: none */
    uint64_t next;              /* the offset at which it would go on */
};

static int tell_pending(struct teller *t)
{
    CLEANUP_FILE struct file *f = file_get(t->parcel, t->pending.file_id);
    CLEANUP_FREE char *path = f ? file_path(f) : NULL;
    if (t->pending.size == 0)
        return 0;
    if (f && !path)
        return -ENOMEM;
    t->pending.path = path;
    int r = t->fn(t->ctx, &t->pending);
    t->pending.size = 0;
    return r;
}

static int tell(void *ctx, const struct lost_blocks *lost)
{
    struct teller *t = ctx;
    CLEANUP_FILE struct file *f = file_get(t->parcel, lost->file_id);
    uint64_t size = UINT64_MAX, chunk = CHUNK_SIZE_DEFAULT;
    if (f) {
        LOCK_SCOPE(&f->lock);
        size = f->size;
        chunk = f->chunk_size;
    }
    uint64_t from = lost->index * chunk + (uint64_t)lost->first * BLOCK_SIZE;
    uint64_t to = lost->index * chunk + (uint64_t)lost->last * BLOCK_SIZE;
    bool zeros = lost->kind == LOSS_ZEROS;
    to = to < size ? to : size;
    if (from >= to)
        return 0;
    if (t->pending.size > 0 && t->pending.file_id == lost->file_id && t->next == from &&
        t->pending.zeros == zeros) {
        t->pending.size += to - from;
        t->next = to;
        return 0;
    }
    int r = tell_pending(t);
    t->pending = (struct parcel_loss){
        .file_id = lost->file_id, .offset = from, .size = to - from, .zeros = zeros};
    t->next = to;
    return r;
}

int parcel_each_loss(struct parcel *p, int (*fn)(void *ctx, const struct parcel_loss *loss),
                     void *ctx)
{
    struct teller t = {.parcel = p, .fn = fn, .ctx = ctx};
    int r = p->losses ? losses_each(p->losses, tell, &t) : 0;
    return r != 0 ? r : tell_pending(&t);
}

/* With p->names held. */
static uint64_t changed_bytes(struct file *f)
{
    LOCK_SCOPE(&f->lock);
    uint64_t bytes = 0;
    for (const struct dirty *d = f->dirty; d; d = d->hh.next)
        bytes += d->ref ? f->chunk_size : (uint64_t)d->own * BLOCK_SIZE;
    return bytes;
}

int parcel_each_change(struct parcel *p,
                       int (*fn)(void *ctx, const char *path, uint64_t file_id, uint64_t bytes),
                       void *ctx)
{
    LOCK_SCOPE(&p->names);
    for (struct file *f = p->files; f; f = f->hh_id.next) {
        uint64_t bytes = f->is_folder || f->unlinked ? 0 : changed_bytes(f);
        if (bytes == 0)
            continue;
        CLEANUP_FREE char *path = file_path_locked(f);
        int r = path ? fn(ctx, path, f->file_id, bytes) : -ENOMEM;
        if (r != 0)
            return r;
    }
    return 0;
}
