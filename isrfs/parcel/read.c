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
        return r == -ENOMEM ? r : report(f, index, NULL, r);
    if (object_id_is_hole(&ref.id))
        return 0;
    r = chunk_cache_get(f->parcel->cache, &ref, f->chunk_size, ret);
    return r == 0 || r == -ENOMEM ? r : report(f, index, &ref.id, r);
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

/* SIZE bytes at AT of one chunk. */
static int read_piece(struct file *f, uint64_t index, size_t at, uint8_t *data, size_t size)
{
    struct object_ref ref = {0};
    int r;
    {
        LOCK_SCOPE(&f->lock);
        r = read_memory(f, index, at, data, size, &ref);
    }
    if (r <= 0)
        return r;
    struct chunk *chunk;
    bool changed = !object_id_is_hole(&ref.id);
    r = file_base(f, index, changed ? &ref : NULL, &chunk);
    if (changed)
        secret_wipe(&ref, sizeof ref);
    if (r < 0)
        return r;
    if (!chunk) {
        memset(data, 0, size);
        return 0;
    }
    memcpy(data, chunk_data(chunk) + at, size);
    chunk_cache_release(f->parcel->cache, chunk);
    return 0;
}

ssize_t parcel_read(struct parcel *p, uint64_t file_id, void *data, size_t size, uint64_t offset)
{
    CLEANUP_FILE struct file *f = NULL;
    int r = file_get_regular(p, file_id, &f);
    if (r < 0)
        return r;
    {
        LOCK_SCOPE(&f->lock);
        if (offset >= f->size)
            return 0;
        if (size > f->size - offset)
            size = f->size - offset;
    }
    if (size == 0)
        return 0;
    prefetch_note(f, offset / f->chunk_size, (offset + size - 1) / f->chunk_size);
    for (size_t done = 0; done < size;) {
        size_t at = (offset + done) % f->chunk_size;
        size_t part = f->chunk_size - at < size - done ? f->chunk_size - at : size - done;
        r = read_piece(f, (offset + done) / f->chunk_size, at, (uint8_t *)data + done, part);
        if (r < 0)
            return r;
        done += part;
    }
    return (ssize_t)size;
}
