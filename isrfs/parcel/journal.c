/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal: what changed since the last batch goes to the site log as one batch, which is
 * replayed wholly or not at all. So after any crash the parcel is as it was at the moment of some
 * batch.
 *
 * That moment is a short freeze, in which the operations are encoded and the chunks with blocks to
 * be logged are made busy; writing goes on beside changes to everything else. A chunk that was
 * written for the greater part is not logged by block but encoded, and so is written only once. */
#include <string.h>

#include "isrfs/base/secret.h"
#include "isrfs/parcel/parcel_internal.h"

#define OPERATIONS_MAX (4u << 20) /* bytes of a record */
#define FEW_BLOCKS     256u       /* that one thread seals sooner than it can wake others */

struct item {
    struct file *file; /* with a reference */
    uint64_t index;
    int settled;              /* 0: logged by block; else the type of op that says what it is now */
    struct block_set *blocks; /* that were logged; owned */
};

struct moment {
    struct parcel *parcel;
    uint64_t batch;
    struct ops *ops; /* that were noted */
    struct item *items;
    size_t count;
    size_t blocks;       /* to be logged, in all of them */
    struct file **attrs; /* files with changed attributes, each with a reference */
    size_t attr_count;
    struct buffer operations; /* encoded; secret */
};

static void moment_free(struct moment *m)
{
    for (size_t i = 0; i < m->count; i++) {
        file_put(m->items[i].file);
        free(m->items[i].blocks);
    }
    for (size_t i = 0; i < m->attr_count; i++)
        file_put(m->attrs[i]);
    free(m->items);
    free(m->attrs);
    ops_free(m->ops);
    buffer_free_secret(&m->operations);
}

/* With p->names held: lists what is to be logged, with references. What is unlinked is not, and may
 * be being freed: it must get none. */
static int list(struct moment *m)
{
    struct parcel *p = m->parcel;
    LOCK_SCOPE(&p->dirty_lock);
    size_t chunks = 0, files = 0;
    const struct dirty *d;
    const struct file *f;
    DL_COUNT2(p->log_list, d, chunks, log_next);
    DL_COUNT2(p->attr_list, f, files, attr_next);
    m->items = calloc(chunks + 1, sizeof *m->items);
    m->attrs = calloc(files + 1, sizeof(struct file *));
    if (!m->items || !m->attrs)
        return -ENOMEM;
    for (struct dirty *at = p->log_list; at; at = at->log_next) {
        if (at->file->unlinked)
            continue;
        at->file->references++;
        m->items[m->count++] = (struct item){.file = at->file, .index = at->index};
    }
    for (struct file *at = p->attr_list; at; at = at->attr_next) {
        if (at->unlinked)
            continue;
        at->references++;
        m->attrs[m->attr_count++] = at;
    }
    return 0;
}

static void forget_attr(struct parcel *p, struct file *f)
{
    f->attr_unlogged = false;
    LOCK_SCOPE(&p->dirty_lock);
    DL_DELETE2(p->attr_list, f, attr_prev, attr_next);
}

void journal_forget_attrs(struct parcel *p)
{
    LOCK_SCOPE(&p->names);
    LOCK_SCOPE(&p->dirty_lock);
    struct file *at, *next;
    DL_FOREACH_SAFE2(p->attr_list, at, next, attr_next)
    {
        if (at->unlinked)
            continue;
        at->attr_unlogged = false;
        DL_DELETE2(p->attr_list, at, attr_prev, attr_next);
    }
}

/* A chunk's op needs the ref that it has at this moment. One that was dropped since needs nothing.
 */
static int encode_chunk_op(struct parcel *p, struct op *op, struct buffer *out)
{
    CLEANUP_FILE struct file *f = file_get(p, op->file_id);
    if (!f || f->is_folder)
        return 0;
    LOCK_SCOPE(&f->lock);
    const struct dirty *d = dirty_find(f, op->first);
    if (!d || !d->ref)
        return 0;
    op->ref = d->ref;
    return ops_encode(op, out);
}

static int encode_operations(struct moment *m)
{
    int r = 0;
    for (size_t i = 0; r == 0 && m->ops && i < m->ops->count; i++) {
        struct op *op = &m->ops->ops[i];
        r = op->type == OP_CHUNK ? encode_chunk_op(m->parcel, op, &m->operations)
                                 : ops_encode(op, &m->operations);
    }
    for (size_t i = 0; r == 0 && i < m->attr_count; i++) {
        struct file *f = m->attrs[i];
        LOCK_SCOPE(&f->lock);
        struct op op = {.type = OP_ATTR,
                        .file_id = f->file_id,
                        .mode = f->mode,
                        .size = f->size,
                        .mtime = f->mtime};
        r = ops_encode(&op, &m->operations);
    }
    return r;
}

/* Frozen: fixes what the batch is to hold. */
static int capture(struct moment *m)
{
    struct parcel *p = m->parcel;
    m->ops = ops_take(p);
    int r;
    {
        LOCK_SCOPE(&p->names);
        r = list(m);
    }
    r = r < 0 ? r : encode_operations(m);
    if (r < 0)
        return r;
    for (size_t i = 0; i < m->attr_count; i++)
        forget_attr(p, m->attrs[i]);
    for (size_t i = 0; i < m->count; i++) {
        struct file *f = m->items[i].file;
        LOCK_SCOPE(&f->lock);
        struct dirty *d = dirty_find(f, m->items[i].index);
        d->busy = true;
        m->blocks += d->unlogged;
    }
    return 0;
}

static int log_blocks(struct moment *m, struct item *item)
{
    struct file *f = item->file;
    int r = blocks_put(f, item->index, m->batch, false, &item->blocks);
    LOCK_SCOPE(&f->lock);
    dirty_end_busy(dirty_find(f, item->index));
    return r;
}

static int log_item(void *ctx, size_t i)
{
    struct moment *m = ctx;
    struct item *item = &m->items[i];
    struct file *f = item->file;
    bool whole;
    {
        LOCK_SCOPE(&f->lock);
        const struct dirty *d = dirty_find(f, item->index);
        whole = dirty_has(d, 0, file_blocks(f)) && d->unlogged >= file_blocks(f) / 4 * 3;
    }
    if (!whole)
        return log_blocks(m, item);
    int r = flush_encode(f, item->index);
    if (r < 0)
        return r;
    item->settled = r > 0 ? OP_HOLES : OP_CHUNK;
    return 0;
}

/* After pool_each: chunks that it did not come to are not busy any more. */
static void end_busy(struct moment *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct file *f = m->items[i].file;
        LOCK_SCOPE(&f->lock);
        struct dirty *d = dirty_find(f, m->items[i].index);
        if (d && d->busy)
            dirty_end_busy(d);
    }
}

/* What was encoded instead of logged is part of the batch; if the batch fails, of the next one. */
static int add_settled(struct moment *m, bool failed)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < m->count; i++) {
        struct item *item = &m->items[i];
        if (!item->settled)
            continue;
        struct op op = {.type = (enum op_type)item->settled,
                        .file_id = item->file->file_id,
                        .first = item->index,
                        .last = item->index + 1};
        if (failed)
            r = ops_note(m->parcel, op);
        else
            r = op.type == OP_CHUNK ? encode_chunk_op(m->parcel, &op, &m->operations)
                                    : ops_encode(&op, &m->operations);
    }
    return r;
}

/* The batch's end names the blocks that it logged, so that it is known what a damaged record hurts.
 */
static int add_logged(struct moment *m)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < m->count; i++) {
        struct item *item = &m->items[i];
        struct op op = {.type = OP_BLOCKS,
                        .file_id = item->file->file_id,
                        .first = item->index,
                        .blocks = item->blocks};
        if (item->blocks)
            r = ops_encode(&op, &m->operations);
    }
    return r;
}

/* The operations, the last record of them being the batch's end. */
static int log_operations(struct moment *m)
{
    const struct buffer *all = &m->operations;
    size_t at = 0;
    do {
        size_t part = all->size - at < OPERATIONS_MAX ? all->size - at : OPERATIONS_MAX;
        int r = site_log_put_operations(m->parcel->config.log, m->batch, at + part == all->size,
                                        all->data + at, part);
        if (r < 0)
            return r;
        at += part;
    } while (at < all->size);
    return 0;
}

static int write_moment(struct moment *m)
{
    struct pool *pool = m->blocks > FEW_BLOCKS ? m->parcel->config.pool : NULL;
    int r = pool_each(pool, m->count, log_item, m);
    end_busy(m);
    r = r < 0 ? r : add_settled(m, false);
    r = r < 0 ? r : add_logged(m);
    return r < 0 ? r : log_operations(m);
}

static void put_back(struct moment *m)
{
    ops_put_back(m->parcel, steal_ptr(m->ops));
    add_settled(m, true);
    for (size_t i = 0; i < m->attr_count; i++) {
        LOCK_SCOPE(&m->attrs[i]->lock);
        file_attr_changed(m->attrs[i]);
    }
}

/* Says of the batch, at its front, whether anything was running. */
static int encode_moment(struct moment *m, bool consistent)
{
    struct op op = {.type = OP_MOMENT, .consistent = consistent};
    struct buffer *out = &m->operations;
    CLEANUP_SECRET_BUFFER struct buffer rest = *out;
    *out = (struct buffer){0};
    int r = ops_encode(&op, out);
    return r < 0 ? r : buffer_append(out, rest.data, rest.size);
}

/* Batches are replayed upon the catalog that was opened: so that this needs no home, it is in the
 * log before the first of them. */
static int keep_catalog(struct parcel *p)
{
    const struct buffer *object = &p->catalog;
    if (object->size == 0)
        return 0;
    int r = store_put(site_log_store(p->config.log), &p->opened, object->data, object->size);
    if (r == 0)
        buffer_free(&p->catalog);
    return r;
}

int journal_moment(struct parcel *p, bool wanted, bool *ret_consistent)
{
    bool unchanged = p->consistent && parcel_changes(p) == p->said_at;
    int r = wanted ? volatile_fold(p) : 0;
    *ret_consistent = unchanged || (wanted && !volatile_any_stale(p));
    return r;
}

void journal_said(struct parcel *p, bool consistent, uint64_t changes)
{
    p->consistent = consistent;
    p->said_at = changes;
}

int journal_batch(struct parcel *p, bool consistent)
{
    if (p->half_committed)
        return -EAGAIN;
    CLEANUP(moment_free) struct moment m = {.parcel = p};
    parcel_gate_close(p);
    uint64_t changes = parcel_changes(p);
    int r = journal_moment(p, consistent, &consistent);
    r = r < 0 ? r : capture(&m);
    parcel_gate_open(p);
    if (r < 0 || m.count > 0 || m.operations.size > 0 || p->consistent != consistent) {
        r = r < 0 ? r : keep_catalog(p);
        r = r < 0 ? r : encode_moment(&m, consistent);
        m.batch = site_log_begin_batch(p->config.log);
        r = r < 0 ? r : write_moment(&m);
    }
    if (r < 0)
        put_back(&m);
    else
        journal_said(p, consistent, changes);
    return r;
}

bool parcel_is_consistent(struct parcel *p)
{
    flush_token_take(p);
    bool consistent = p->consistent;
    flush_token_give(p);
    return consistent;
}

int parcel_journal(struct parcel *p, bool consistent)
{
    if (!p->config.log)
        return -EROFS;
    flush_token_take(p);
    int r = journal_batch(p, consistent);
    flush_token_give(p);
    return r;
}
