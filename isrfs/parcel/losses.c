/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A table by file, chunk and kind, with a bit for each block. One block may be noted as both kinds
 * (what this site wrote is lost, and then what was there before): zeros win when it is told. */
#include "isrfs/parcel/losses.h"

#include <string.h>

#include <uthash.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/parcel/catalog.h"

#define BLOCK     4096u
#define BITS_SIZE (CHUNK_SIZE_MAX / BLOCK / 8)
#define KINDS     2

struct key {
    uint64_t file_id, index;
};

struct entry {
    struct key key;
    uint8_t bits[KINDS][BITS_SIZE];
    UT_hash_handle hh;
};

struct losses {
    pthread_mutex_t lock;
    struct entry *entries; /* lock */
    uint64_t operations;   /* lock */
};

struct losses *losses_new(void)
{
    struct losses *l = calloc(1, sizeof *l);
    if (l)
        pthread_mutex_init(&l->lock, NULL);
    return l;
}

static void drop(struct losses *l, struct entry *e)
{
    HASH_DEL(l->entries, e);
    free(e);
}

void losses_free(struct losses *l)
{
    if (!l)
        return;
    struct entry *e, *next;
    HASH_ITER(hh, l->entries, e, next)
    {
        drop(l, e);
    }
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* With the lock held. */
static struct entry *find(struct losses *l, uint64_t file_id, uint64_t index)
{
    struct key key = {file_id, index};
    struct entry *e;
    HASH_FIND(hh, l->entries, &key, sizeof key, e);
    return e;
}

int losses_note(struct losses *l, uint64_t file_id, uint64_t index, const uint8_t *bits,
                size_t size, enum loss_kind kind)
{
    LOCK_SCOPE(&l->lock);
    struct entry *e = find(l, file_id, index);
    if (!e) {
        e = calloc(1, sizeof *e);
        if (!e)
            return -ENOMEM;
        e->key = (struct key){file_id, index};
        HASH_ADD(hh, l->entries, key, sizeof e->key, e);
    }
    for (size_t i = 0; i < size && i < BITS_SIZE; i++)
        e->bits[kind][i] |= bits[i];
    return 0;
}

int losses_note_chunk(struct losses *l, uint64_t file_id, uint64_t index, unsigned blocks,
                      enum loss_kind kind)
{
    uint8_t bits[BITS_SIZE] = {0};
    for (unsigned i = 0; i < blocks && i / 8 < BITS_SIZE; i++)
        bits[i / 8] |= (uint8_t)(1u << (i % 8));
    return losses_note(l, file_id, index, bits, sizeof bits, kind);
}

void losses_note_operations(struct losses *l)
{
    LOCK_SCOPE(&l->lock);
    l->operations++;
}

uint64_t losses_operations(struct losses *l)
{
    LOCK_SCOPE(&l->lock);
    return l->operations;
}

bool losses_heal(struct losses *l, uint64_t file_id, uint64_t index, const uint8_t *bits,
                 size_t size)
{
    LOCK_SCOPE(&l->lock);
    struct entry *e = find(l, file_id, index);
    bool any = false;
    for (size_t i = 0; e && i < size && i < BITS_SIZE; i++)
        for (int kind = 0; kind < KINDS; kind++) {
            any |= e->bits[kind][i] & bits[i];
            e->bits[kind][i] &= (uint8_t)~bits[i];
        }
    return any;
}

void losses_heal_chunks(struct losses *l, uint64_t file_id, uint64_t first, uint64_t last)
{
    LOCK_SCOPE(&l->lock);
    struct entry *e, *next;
    HASH_ITER(hh, l->entries, e, next)
    {
        if (e->key.file_id == file_id && e->key.index >= first && e->key.index < last)
            drop(l, e);
    }
}

void losses_heal_file(struct losses *l, uint64_t file_id)
{
    losses_heal_chunks(l, file_id, 0, UINT64_MAX);
}

static int by_place(const struct entry *a, const struct entry *b)
{
    if (a->key.file_id != b->key.file_id)
        return a->key.file_id < b->key.file_id ? -1 : 1;
    return a->key.index < b->key.index ? -1 : a->key.index > b->key.index;
}

/* -1: the block is not lost. */
static int kind_of(const struct entry *e, unsigned block)
{
    for (int kind = KINDS - 1; kind >= 0; kind--)
        if (e->bits[kind][block / 8] >> (block % 8) & 1)
            return kind;
    return -1;
}

struct runs {
    struct lost_blocks *all; /* owned */
    size_t count, room;
};

static void runs_free(struct runs *runs)
{
    free(runs->all);
}

static int add_runs(struct runs *runs, const struct entry *e)
{
    for (unsigned i = 0, end; i < 8 * BITS_SIZE; i = end) {
        int kind = kind_of(e, i);
        for (end = i + 1; end < 8 * BITS_SIZE && kind_of(e, end) == kind;)
            end++;
        if (kind < 0)
            continue;
        if (runs->count == runs->room) {
            size_t room = 2 * runs->room + 64;
            struct lost_blocks *all = reallocarray(runs->all, room, sizeof *all);
            if (!all)
                return -ENOMEM;
            runs->all = all;
            runs->room = room;
        }
        runs->all[runs->count++] =
            (struct lost_blocks){e->key.file_id, e->key.index, i, end, (enum loss_kind)kind};
    }
    return 0;
}

int losses_each(struct losses *l, int (*fn)(void *ctx, const struct lost_blocks *lost), void *ctx)
{
    CLEANUP(runs_free) struct runs runs = {0};
    int r = 0;
    {
        LOCK_SCOPE(&l->lock);
        HASH_SORT(l->entries, by_place);
        for (const struct entry *e = l->entries; e && r == 0; e = e->hh.next)
            r = add_runs(&runs, e);
    }
    for (size_t i = 0; r == 0 && i < runs.count; i++)
        r = fn(ctx, &runs.all[i]);
    return r;
}
