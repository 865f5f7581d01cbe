/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was done to names, holes and whole chunks since the last batch, in order. Each op says what
 * is so afterwards rather than how it came about, by file id, so that doing it again changes
 * nothing.
 *
 *   op      type u8, file id u64, and
 *   CREATE  folder u64, is folder u8, chunk size u32, name      NAME    folder u64, name
 *   UNLINK  nothing                     ATTR    mode u16, size u64, mtime u64 u32
 *   HOLES   first u64, last u64         CHUNK   index u64, key and id
 *   MOMENT  consistent u8 (its file id is 0)
 *   BLOCKS  index u64, bytes of bitmap u16, bitmap
 *   name    length u16, bytes */
#include "isrfs/parcel/parcel_internal.h"

#include <string.h>

static void op_free(struct op *op)
{
    free(steal_ptr(op->name));
}

void ops_free(struct ops *ops)
{
    if (!ops)
        return;
    for (size_t i = 0; i < ops->count; i++)
        op_free(&ops->ops[i]);
    free(ops->ops);
    free(ops);
}

static int reserve(struct ops *ops, size_t count)
{
    if (count <= ops->room)
        return 0;
    size_t room = 2 * count + 16;
    struct op *all = reallocarray(ops->ops, room, sizeof *all);
    if (!all)
        return -ENOMEM;
    ops->ops = all;
    ops->room = room;
    return 0;
}

int ops_note(struct parcel *p, struct op op)
{
    if (!p->noting) {
        op_free(&op);
        return 0;
    }
    LOCK_SCOPE(&p->dirty_lock);
    if (!p->ops)
        p->ops = calloc(1, sizeof *p->ops);
    if (!p->ops || reserve(p->ops, p->ops->count + 1) < 0) {
        op_free(&op);
        return -ENOMEM;
    }
    p->ops->ops[p->ops->count++] = op;
    return 0;
}

struct ops *ops_take(struct parcel *p)
{
    LOCK_SCOPE(&p->dirty_lock);
    return steal_ptr(p->ops);
}

void ops_put_back(struct parcel *p, struct ops *ops)
{
    if (!ops)
        return;
    LOCK_SCOPE(&p->dirty_lock);
    if (p->ops && reserve(ops, ops->count + p->ops->count) == 0) {
        memcpy(ops->ops + ops->count, p->ops->ops, p->ops->count * sizeof *ops->ops);
        ops->count += p->ops->count;
        p->ops->count = 0;
    }
    ops_free(p->ops);
    p->ops = ops;
}

static int put_name(struct buffer *out, const char *name)
{
    size_t length = strlen(name);
    int r = buffer_put_u16(out, (uint16_t)length);
    return r < 0 ? r : buffer_append(out, name, length);
}

int ops_encode(const struct op *op, struct buffer *out)
{
    int r = buffer_put_u8(out, (uint8_t)op->type);
    r = r < 0 ? r : buffer_put_u64(out, op->file_id);
    switch (op->type) {
    case OP_CREATE:
        r = r < 0 ? r : buffer_put_u64(out, op->folder);
        r = r < 0 ? r : buffer_put_u8(out, (uint8_t)(op->is_folder | op->is_volatile << 1));
        r = r < 0 ? r : buffer_put_u32(out, op->chunk_size);
        return r < 0 ? r : put_name(out, op->name);
    case OP_NAME:
        r = r < 0 ? r : buffer_put_u64(out, op->folder);
        return r < 0 ? r : put_name(out, op->name);
    case OP_ATTR:
        r = r < 0 ? r : buffer_put_u16(out, (uint16_t)op->mode);
        r = r < 0 ? r : buffer_put_u64(out, op->size);
        r = r < 0 ? r : buffer_put_u64(out, (uint64_t)op->mtime.tv_sec);
        return r < 0 ? r : buffer_put_u32(out, (uint32_t)op->mtime.tv_nsec);
    case OP_HOLES:
        r = r < 0 ? r : buffer_put_u64(out, op->first);
        return r < 0 ? r : buffer_put_u64(out, op->last);
    case OP_CHUNK:
        r = r < 0 ? r : buffer_put_u64(out, op->first);
        return r < 0 ? r : buffer_append(out, op->ref, sizeof *op->ref);
    case OP_MOMENT:
        return r < 0 ? r : buffer_put_u8(out, op->consistent);
    case OP_BLOCKS:
        r = r < 0 ? r : buffer_put_u64(out, op->first);
        r = r < 0 ? r : buffer_put_u16(out, (uint16_t)op->blocks->size);
        return r < 0 ? r : buffer_append(out, op->blocks->bits, op->blocks->size);
    case OP_UNLINK:
        return r;
    }
    return -EINVAL;
}

struct block_set *block_set_new(const uint8_t *bits, size_t size)
{
    struct block_set *set = size <= BLOCK_SET_MAX ? calloc(1, sizeof *set) : NULL;
    if (!set)
        return NULL;
    set->size = size;
    memcpy(set->bits, bits, size);
    return set;
}

static void get_blocks(struct reader *in, struct op *op)
{
    uint16_t size = reader_u16(in);
    const uint8_t *bytes = size <= BLOCK_SET_MAX ? reader_bytes(in, size) : NULL;
    if (!bytes) {
        in->bad = true;
        return;
    }
    op->blocks->size = size;
    memcpy(op->blocks->bits, bytes, size);
}

static void get_name(struct reader *in, struct op *op)
{
    uint16_t length = reader_u16(in);
    const uint8_t *bytes = reader_bytes(in, length);
    if (bytes && length <= CATALOG_NAME_MAX)
        op->name = strndup((const char *)bytes, length);
    if (!op->name || strlen(op->name) != length)
        in->bad = true;
}

int ops_decode(struct reader *in, struct op *op)
{
    struct object_ref *ref = op->ref;
    *op = (struct op){
        .type = reader_u8(in), .file_id = reader_u64(in), .ref = ref, .blocks = op->blocks};
    const uint8_t *bytes = NULL;
    uint8_t flags;
    switch (op->type) {
    case OP_CREATE:
        op->folder = reader_u64(in);
        flags = reader_u8(in);
        op->is_folder = flags & 1;
        op->is_volatile = flags >> 1 & 1;
        in->bad |= flags > 2;
        op->chunk_size = reader_u32(in);
        get_name(in, op);
        break;
    case OP_NAME:
        op->folder = reader_u64(in);
        get_name(in, op);
        break;
    case OP_ATTR:
        op->mode = reader_u16(in);
        op->size = reader_u64(in);
        op->mtime.tv_sec = (time_t)reader_u64(in);
        op->mtime.tv_nsec = (long)reader_u32(in);
        break;
    case OP_HOLES:
        op->first = reader_u64(in);
        op->last = reader_u64(in);
        break;
    case OP_CHUNK:
        op->first = reader_u64(in);
        bytes = reader_bytes(in, sizeof *ref);
        if (bytes)
            memcpy(ref, bytes, sizeof *ref);
        break;
    case OP_MOMENT:
        op->consistent = reader_u8(in);
        break;
    case OP_BLOCKS:
        op->first = reader_u64(in);
        get_blocks(in, op);
        break;
    case OP_UNLINK:
        break;
    default:
        in->bad = true;
    }
    if (!in->bad)
        return 0;
    op_free(op);
    return -EBADMSG;
}

void file_attr_changed(struct file *f)
{
    struct parcel *p = f->parcel;
    if (f->attr_unlogged || !p->noting || f->below)
        return;
    f->attr_unlogged = true;
    LOCK_SCOPE(&p->dirty_lock);
    DL_APPEND2(p->attr_list, f, attr_prev, attr_next);
}
