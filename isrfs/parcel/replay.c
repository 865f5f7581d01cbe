/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Doing again what the log has beyond its newest root. Nothing is fetched from anywhere and no data
 * is read: blocks become evicted ones, whole chunks refs. The log is authentic, but an older
 * release or a fault may have written it: every op is checked against the tree it meets.
 *
 * Runs while the parcel is opened, by one thread, before anybody else knows of it. */
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/parcel/parcel_internal.h"

static int redo_create(struct parcel *p, const struct op *op)
{
    struct file *folder = file_find(p, op->folder), *f;
    bool sizes =
        op->is_folder || (op->chunk_size >= CHUNK_SIZE_MIN && op->chunk_size <= CHUNK_SIZE_MAX &&
                          (op->chunk_size & (op->chunk_size - 1)) == 0);
    if (!folder || !folder->is_folder || !sizes || file_find(p, op->file_id) ||
        file_child(folder, op->name) || file_check_new_name(folder, op->name) < 0)
        return -EBADMSG;
    struct catalog_entry entry = {.file_id = op->file_id,
                                  .is_folder = op->is_folder,
                                  .is_volatile = op->is_volatile,
                                  .chunk_size = op->is_folder ? 0 : op->chunk_size};
    if (op->file_id >= p->next_file_id)
        p->next_file_id = op->file_id + 1;
    return file_new(p, folder, op->name, &entry, &f);
}

static int redo_name(struct parcel *p, struct file *f, struct op *op)
{
    struct file *folder = file_find(p, op->folder);
    if (!folder || !folder->is_folder || f == p->root || file_child(folder, op->name) ||
        file_check_new_name(folder, op->name) < 0)
        return -EBADMSG;
    file_move(f, folder, steal_ptr(op->name));
    return 0;
}

static int redo_unlink(struct parcel *p, struct file *f)
{
    if (f->children || f == p->root)
        return -EBADMSG;
    file_free(file_take_name(p, f));
    return 0;
}

static int redo_chunk(struct parcel *p, struct file *f, const struct op *op)
{
    struct object_ref *ref = ref_slots_take(p->refs);
    if (!ref)
        return -ENOMEM;
    *ref = *op->ref;
    dirty_drop(f, op->first, op->first + 1);
    struct dirty *d = dirty_add(f, op->first);
    if (!d) {
        ref_slots_give(p->refs, ref);
        return -ENOMEM;
    }
    d->ref = ref;
    return 0;
}

static int redo(struct parcel *p, struct op *op)
{
    if (op->type == OP_MOMENT) {
        p->consistent = op->consistent;
        return 0;
    }
    if (op->type == OP_CREATE)
        return redo_create(p, op);
    struct file *f = file_find(p, op->file_id);
    if (!f)
        return 0; /* it was unlinked later in the same batch's life */
    switch (op->type) {
    case OP_NAME:
        return redo_name(p, f, op);
    case OP_UNLINK:
        return redo_unlink(p, f);
    case OP_ATTR:
        if (op->size > INT64_MAX || op->mtime.tv_nsec >= 1000000000)
            return -EBADMSG;
        f->mode = op->mode & 0777;
        f->mtime = f->ctime = op->mtime;
        f->size = f->is_folder ? 0 : op->size;
        return 0;
    case OP_HOLES:
        return f->is_folder || op->first > op->last ? -EBADMSG : file_punch(f, op->first, op->last);
    case OP_CHUNK:
        return f->is_folder ? -EBADMSG : redo_chunk(p, f, op);
    case OP_CREATE:
    case OP_MOMENT:
    default:
        return -EBADMSG;
    }
}

static int redo_operations(void *ctx, const void *data, size_t size)
{
    struct parcel *p = ctx;
    struct object_ref ref;
    struct reader in = reader_of(data, size);
    int r = 0;
    while (r == 0 && in.left > 0) {
        struct op op = {.ref = &ref};
        r = ops_decode(&in, &op);
        r = r < 0 ? r : redo(p, &op);
        free(op.name);
    }
    secret_wipe(&ref, sizeof ref);
    atomic_fetch_add(&p->changes, 1);
    return r;
}

static int redo_blocks(void *ctx, const struct log_blocks *blocks, const struct log_at *at)
{
    struct parcel *p = ctx;
    struct file *f = file_find(p, blocks->file_id);
    if (!f)
        return 0;
    unsigned count = f->is_folder ? 0 : file_blocks(f);
    if (f->is_folder || blocks->bitmap_size != (count + 7) / 8 ||
        blocks->index > INT64_MAX / f->chunk_size)
        return -EBADMSG;
    struct dirty *d = dirty_find(f, blocks->index);
    if (!d)
        d = dirty_add(f, blocks->index);
    if (d && !d->where)
        d->where = calloc(count, sizeof *d->where);
    if (!d || !d->where)
        return -ENOMEM;
    for (unsigned i = 0, slot = 0; i < count; i++) {
        if (!(blocks->bitmap[i / 8] >> (i % 8) & 1))
            continue;
        d->where[i] = (struct block_at){*at, slot++};
        dirty_set_own(d, i, i + 1, true);
    }
    atomic_fetch_add(&p->changes, 1);
    return 0;
}

int replay_log(struct parcel *p)
{
    struct log_replayer replayer = {redo_operations, redo_blocks, p};
    int r = site_log_replay(p->config.log, &replayer);
    if (r == -EBADMSG)
        log_error("the site log has something that does not fit the parcel's files");
    return r;
}
