/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading, nearest first: changed chunks in memory, then holes not yet in the keyring, then what
 * keyring and chunk cache have. */
#include <inttypes.h>
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/parcel/parcel_internal.h"

/* Says once what is wrong where, and gives what a reader is to get. */
static int report(struct file *f, uint64_t index, const struct object_id *id, int error)
{
    CLEANUP_FREE char *path = file_path(f);
    char name[128], hex[OBJECT_ID_HEX + 1] = "its keyring node";
    if (error == -EHOSTDOWN || error == -ENOMEM)
        return error; /* nothing is wrong with the file */
    log_clean(name, sizeof name, path ? path : "?");
    if (id)
        object_id_to_hex(id, hex);
    const char *what = error == -EBADMSG  ? "is damaged"
                       : error == -ENOENT ? "is missing"
                                          : strerror(-error);
    log_error("%s: chunk %" PRIu64 " (object %s) cannot be read: %s", name, index, hex, what);
    return -EIO;
}

int file_base(struct file *f, uint64_t index, const struct object_ref *changed, struct chunk **ret)
{
    *ret = NULL;
    struct object_ref ref;
    int r = 0;
    if (changed)
        ref = *changed;
    else
        r = keyring_lookup(f->keyring, index, &ref);
    if (r < 0)
        return report(f, index, NULL, r);
    if (object_id_is_hole(&ref.id))
        return 0;
    r = chunk_cache_get(f->parcel->cache, &ref, f->chunk_size, ret);
    return r == 0 ? r : report(f, index, &ref.id, r);
}

/* From changed chunks and holes; 1 if the bytes are elsewhere, in the object REF if it was filled.
 * With the file's lock held, which it may let go of for a while. */
static int read_memory(struct file *f, uint64_t index, size_t at, uint8_t *data, size_t size,
                       struct object_ref *ref)
{
    unsigned first = (unsigned)(at / BLOCK_SIZE);
    unsigned last = (unsigned)((at + size + BLOCK_SIZE - 1) / BLOCK_SIZE);
    struct dirty *d;
    while ((d = dirty_find(f, index)) && d->own > 0) {
        if (dirty_has(d, first, last)) {
            memcpy(data, d->data + at, size);
            return 0;
        }
        int r = d->data ? dirty_complete(f, index) : dirty_load(f, index);
        if (r < 0)
            return r;
    }
    if (d && d->ref)
        *ref = *d->ref;
    else if (holes_find(&f->holes, index))
        memset(data, 0, size);
    else
        return 1;
    return d && d->ref ? 1 : 0;
}

/* SIZE bytes at AT of one chunk: into DATA, or in *RET, which is then to be released. What was
 * looked up may be gone by the time it is fetched, if the chunk was written anew meanwhile: then it
 * is looked up again. */
static int read_piece(struct file *f, uint64_t index, size_t at, uint8_t *data, size_t size,
                      struct chunk **ret)
{
    struct object_ref ref;
    uint64_t generation = 0;
    int r = -EIO;
    bool again = true;
    *ret = NULL;
    while (r == -EIO && again) {
        memset(&ref, 0, sizeof ref);
        {
            LOCK_SCOPE(&f->lock);
            generation = f->generation;
            r = read_memory(f, index, at, data, size, &ref);
        }
        if (r <= 0)
            return r;
        if (f->below)
            return read_piece(f->below, index, at, data, size, ret);
        bool changed = !object_id_is_hole(&ref.id);
        r = file_base(f, index, changed ? &ref : NULL, ret);
        LOCK_SCOPE(&f->lock);
        again = f->generation != generation;
    }
    secret_wipe(&ref, sizeof ref);
    if (r == 0 && !*ret)
        memset(data, 0, size);
    return r;
}

int file_read_chunk(struct file *f, uint64_t index, uint8_t *data)
{
    struct chunk *chunk;
    int r = read_piece(f, index, 0, data, f->chunk_size, &chunk);
    if (r == 0 && chunk) {
        memcpy(data, chunk_data(chunk), f->chunk_size);
        chunk_cache_release(f->parcel->cache, chunk);
    }
    return r;
}

/* The bytes from OFFSET that there are, at most SIZE. */
static size_t clip(struct file *f, size_t size, uint64_t offset)
{
    LOCK_SCOPE(&f->lock);
    if (offset >= f->size)
        return 0;
    return size < f->size - offset ? size : f->size - offset;
}

/* How many of SIZE bytes at OFFSET lie in the chunk where they begin. */
static size_t piece_size(const struct file *f, size_t size, uint64_t offset)
{
    size_t rest = f->chunk_size - offset % f->chunk_size;
    return rest < size ? rest : size;
}

ssize_t parcel_read_now(struct parcel *p, uint64_t file_id, void *data, size_t size,
                        uint64_t offset)
{
    CLEANUP_FILE struct file *f = NULL;
    int r = file_get_regular(p, file_id, &f);
    if (r < 0)
        return r;
    struct file *t = file_top(f);
    size = clip(t, size, offset);
    if (size == 0)
        return 0;
    prefetch_note(f, offset / f->chunk_size, (offset + size - 1) / f->chunk_size);
    size_t part;
    for (size_t done = 0; done < size; done += part) {
        size_t at = (offset + done) % f->chunk_size;
        uint8_t *to = (uint8_t *)data + done;
        struct chunk *chunk;
        part = piece_size(f, size - done, offset + done);
        r = read_piece(t, (offset + done) / f->chunk_size, at, to, part, &chunk);
        if (r < 0)
            return r;
        if (chunk) {
            memcpy(to, chunk_data(chunk) + at, part);
            chunk_cache_release(p->cache, chunk);
        }
    }
    return (ssize_t)size;
}

ssize_t parcel_read_view_now(struct parcel *p, uint64_t file_id, void *room, size_t size,
                             uint64_t offset, struct parcel_view *ret)
{
    ret->count = 0;
    CLEANUP_FILE struct file *f = NULL;
    int r = file_get_regular(p, file_id, &f);
    if (r < 0)
        return r;
    struct file *t = file_top(f);
    size = clip(t, size < PARCEL_VIEW_SIZE ? size : PARCEL_VIEW_SIZE, offset);
    if (size == 0)
        return 0;
    prefetch_note(f, offset / f->chunk_size, (offset + size - 1) / f->chunk_size);
    for (size_t done = 0; done < size; ret->count++) {
        size_t at = (offset + done) % f->chunk_size;
        size_t part = piece_size(f, size - done, offset + done);
        uint8_t *to = (uint8_t *)room + done;
        struct chunk **held = &ret->held[ret->count];
        r = read_piece(t, (offset + done) / f->chunk_size, at, to, part, held);
        if (r < 0) {
            parcel_view_end(p, ret);
            return r;
        }
        ret->spent[ret->count] = part == f->chunk_size;
        /* writev(2) takes pointers to what is not const; nobody writes there. */
        ret->pieces[ret->count] =
            (struct iovec){*held ? (uint8_t *)(uintptr_t)chunk_data(*held) + at : to, part};
        done += part;
    }
    return (ssize_t)size;
}

void parcel_view_end(struct parcel *p, struct parcel_view *view)
{
    for (unsigned i = 0; i < view->count; i++)
        if (view->held[i] && view->spent[i])
            chunk_cache_release_spent(p->cache, view->held[i]);
        else if (view->held[i])
            chunk_cache_release(p->cache, view->held[i]);
    view->count = 0;
}
