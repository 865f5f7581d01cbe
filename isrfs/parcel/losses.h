/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What cannot be had any more of a damaged site, block by block, while a parcel is opened and
 * committed with salvage: noted when something turns out to be lost, and taken back when something
 * newer covers it. Any thread may call. */
#ifndef ISRFS_PARCEL_LOSSES_H
#define ISRFS_PARCEL_LOSSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands there instead. */
enum loss_kind {
    LOSS_OLDER, /* what was there before this site wrote */
    LOSS_ZEROS, /* zeros: there is nothing older, or it cannot be read either */
};

struct losses;

struct losses *losses_new(void);
void losses_free(struct losses *l);

/* The blocks of BITS (SIZE bytes, block i is bit i % 8 of byte i / 8) of one chunk are lost. 0 or
 * -ENOMEM. */
int losses_note(struct losses *l, uint64_t file_id, uint64_t index, const uint8_t *bits,
                size_t size, enum loss_kind kind);
/* Blocks 0 to BLOCKS - 1 of a chunk. */
int losses_note_chunk(struct losses *l, uint64_t file_id, uint64_t index, unsigned blocks,
                      enum loss_kind kind);
/* Something that has no place: operations, a commit. */
void losses_note_operations(struct losses *l);
uint64_t losses_operations(struct losses *l);

/* These blocks were written later (was any of them lost?); so were the chunks FIRST to LAST - 1;
 * the file is gone. */
bool losses_heal(struct losses *l, uint64_t file_id, uint64_t index, const uint8_t *bits,
                 size_t size);
void losses_heal_chunks(struct losses *l, uint64_t file_id, uint64_t first, uint64_t last);
void losses_heal_file(struct losses *l, uint64_t file_id);

/* A run of lost blocks within one chunk. FN is called for each, ordered by file and place, until it
 * returns other than 0. */
struct lost_blocks {
    uint64_t file_id, index;
    unsigned first, last; /* blocks FIRST to LAST - 1 */
    enum loss_kind kind;
};
int losses_each(struct losses *l, int (*fn)(void *ctx, const struct lost_blocks *lost), void *ctx);

#endif
