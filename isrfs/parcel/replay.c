/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Doing again what the log has beyond its newest root. Nothing is fetched from anywhere and no data
 * is read: blocks become evicted ones, whole chunks refs. The log is authentic, but an older
 * release or a fault may have written it: every op is checked against the tree it meets.
 *
 * With salvage some records are missing. What the end of a batch says of its blocks is noted as
 * lost, and taken back as the blocks come; a chunk whose object is lost stays what it was; an op
 * that does not fit (it builds on one that is lost) is left out. All that is noted.
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

int replay_settle(struct file *f, uint64_t index, const struct object_ref *object)
{
    struct parcel *p = f->parcel;
    struct object_ref *ref = ref_slots_take(p->refs);
    if (!ref)
        return -ENOMEM;
    *ref = *object;
    dirty_drop(f, index, index + 1);
    struct dirty *d = dirty_add(f, index);
    if (!d) {
        ref_slots_give(p->refs, ref);
        return -ENOMEM;
    }
    d->ref = ref;
    return 0;
}

static int redo_chunk(struct file *f, const struct op *op)
{
    struct parcel *p = f->parcel;
    int r = p->losses ? salvage_is_gone(p, &op->ref->id) : 0;
    p->missing += r > 0;
    if (r > 0)
        return losses_note_chunk(p->losses, f->file_id, op->first, file_blocks(f), LOSS_OLDER);
    r = r < 0 ? r : replay_settle(f, op->first, op->ref);
    if (r == 0 && p->losses)
        losses_heal_chunks(p->losses, f->file_id, op->first, op->first + 1);
    return r;
}

static int redo_holes(struct file *f, const struct op *op)
{
    if (op->first > op->last)
        return -EBADMSG;
    if (f->parcel->losses)
        losses_heal_chunks(f->parcel->losses, f->file_id, op->first, op->last);
    return file_punch(f, op->first, op->last);
}

/* For what is said of the recovery; of an op that was done. */
static void note(struct parcel *p, struct file *f, uint64_t changes, uint64_t bytes)
{
    p->recovered.changes += changes;
    p->recovered.bytes += bytes;
    if (!f || f->is_folder || f->recovered)
        return;
    f->recovered = true;
    p->recovered.files++;
}

static int redo_attr(struct file *f, const struct op *op)
{
    if (op->size > INT64_MAX || op->mtime.tv_nsec >= 1000000000)
        return -EBADMSG;
    f->mode = op->mode & 0777;
    f->mtime = f->ctime = op->mtime;
    f->size = f->is_folder ? 0 : op->size;
    return 0;
}

static int redo_file(struct parcel *p, struct file *f, struct op *op)
{
    switch (op->type) {
    case OP_NAME:
        return redo_name(p, f, op);
    case OP_ATTR:
        return redo_attr(f, op);
    case OP_HOLES:
        return f->is_folder ? -EBADMSG : redo_holes(f, op);
    case OP_CHUNK:
        return f->is_folder ? -EBADMSG : redo_chunk(f, op);
    case OP_CREATE:
    case OP_UNLINK:
    case OP_MOMENT:
    case OP_BLOCKS:
    default:
        return -EBADMSG;
    }
}

/* The batch has a record of these blocks: if it does not come, they are lost. */
static int redo_expect(struct parcel *p, const struct op *op)
{
    if (op->first > INT64_MAX / CHUNK_SIZE_MAX)
        return -EBADMSG;
    p->missing += p->losses != NULL;
    return p->losses ? losses_note(p->losses, op->file_id, op->first, op->blocks->bits,
                                   op->blocks->size, LOSS_OLDER)
                     : 0;
}

static int redo(struct parcel *p, struct op *op)
{
    if (op->type == OP_MOMENT) {
        p->consistent = op->consistent;
        return 0;
    }
    if (op->type == OP_BLOCKS)
        return redo_expect(p, op);
    int r = op->type == OP_CREATE ? redo_create(p, op) : 0;
    struct file *f = file_find(p, op->file_id);
    if (op->type == OP_UNLINK && p->losses)
        losses_heal_file(p->losses, op->file_id);
    if (op->type == OP_CREATE || !f) { /* none: it was unlinked later in the same batch's life */
        note(p, f, op->type == OP_CREATE, 0);
        return r;
    }
    if (op->type == OP_UNLINK)
        r = redo_unlink(p, f);
    else
        r = redo_file(p, f, op);
    if (r == 0)
        note(p, op->type == OP_UNLINK ? NULL : f, op->type != OP_ATTR,
             op->type == OP_CHUNK ? f->chunk_size : 0);
    return r;
}

/* With salvage what does not fit is left out. */
static int redo_or_lose(struct parcel *p, struct op *op)
{
    int r = redo(p, op);
    if (r != -EBADMSG || !p->losses)
        return r;
    losses_note_operations(p->losses);
    return 0;
}

static int redo_operations(void *ctx, const void *data, size_t size)
{
    struct parcel *p = ctx;
    struct object_ref ref;
    struct block_set blocks;
    struct reader in = reader_of(data, size);
    int r = 0;
    while (r == 0 && in.left > 0) {
        struct op op = {.ref = &ref, .blocks = &blocks};
        r = ops_decode(&in, &op);
        r = r < 0 ? r : redo_or_lose(p, &op);
        free(op.name);
    }
    secret_wipe(&ref, sizeof ref);
    atomic_fetch_add(&p->changes, 1);
    return r;
}

static int operations_lost(void *ctx)
{
    struct parcel *p = ctx;
    losses_note_operations(p->losses);
    return 0;
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
    if (p->losses &&
        losses_heal(p->losses, f->file_id, blocks->index, blocks->bitmap, blocks->bitmap_size))
        p->missing--;
    note(p, f, 1, (uint64_t)blocks->count * BLOCK_SIZE);
    atomic_fetch_add(&p->changes, 1);
    return 0;
}

int replay_log(struct parcel *p)
{
    struct log_replayer replayer = {.lost = p->losses ? operations_lost : NULL,
                                    .operations = redo_operations,
                                    .blocks = redo_blocks,
                                    .ctx = p};
    int r = site_log_replay(p->config.log, &replayer);
    if (r == -EBADMSG)
        log_error("the site log has something that does not fit the parcel's files");
    return r;
}
