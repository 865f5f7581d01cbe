/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changed blocks of one chunk as a record of a batch, and where they lie from then on. */
#include <string.h>

#include "isrfs/parcel/parcel_internal.h"

struct blocks {
    struct log_blocks head;
    uint8_t bitmap[CHUNK_SIZE_MAX / BLOCK_SIZE / 8];
    const uint8_t *parts[CHUNK_SIZE_MAX / BLOCK_SIZE];
};

/* With the lock held. */
static void gather(const struct file *f, const struct dirty *d, bool all, struct blocks *b)
{
    unsigned blocks = file_blocks(f);
    memset(b->bitmap, 0, sizeof b->bitmap);
    b->head = (struct log_blocks){.file_id = f->file_id,
                                  .index = d->index,
                                  .bitmap = b->bitmap,
                                  .bitmap_size = (blocks + 7) / 8};
    for (unsigned i = 0; i < blocks; i++) {
        if (!(all ? dirty_own(d, i) : dirty_unlogged(d, i)))
            continue;
        b->bitmap[i / 8] |= (uint8_t)(1u << (i % 8));
        b->parts[b->head.count++] = d->data + (size_t)i * BLOCK_SIZE;
    }
}

/* With the lock held: its blocks are at AT now. */
static int note_places(struct file *f, struct dirty *d, const uint8_t *bitmap,
                       const struct log_at *at)
{
    unsigned blocks = file_blocks(f), slot = 0;
    if (!d->where)
        d->where = calloc(blocks, sizeof *d->where);
    if (!d->where)
        return -ENOMEM;
    for (unsigned i = 0; i < blocks; i++)
        if (bitmap[i / 8] >> (i % 8) & 1)
            d->where[i] = (struct block_at){*at, slot++};
    dirty_set_logged(d);
    return 0;
}

int blocks_put(struct file *f, uint64_t index, uint64_t batch, bool all, struct block_set **ret)
{
    CLEANUP_FREE struct blocks *b = malloc(sizeof *b);
    if (!b)
        return -ENOMEM;
    {
        LOCK_SCOPE(&f->lock);
        gather(f, dirty_find(f, index), all, b);
    }
    struct log_at at;
    int r = site_log_put_blocks(f->parcel->config.log, batch, false, &b->head, b->parts, &at);
    CLEANUP_FREE struct block_set *set = NULL;
    if (r == 0 && !(set = block_set_new(b->bitmap, b->head.bitmap_size)))
        r = -ENOMEM;
    if (r < 0)
        return r;
    LOCK_SCOPE(&f->lock);
    r = note_places(f, dirty_find(f, index), b->bitmap, &at);
    if (r == 0)
        *ret = steal_ptr(set);
    return r;
}
