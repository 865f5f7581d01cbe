/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Spare buffers are linked through their own first bytes, one list for each power of two. What goes
 * back to the system is wiped first. */
#include "isrfs/parcel/chunk_buffers.h"

#include <sys/mman.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/secret.h"

#define CLASSES 40

struct spare {
    struct spare *next;
};

struct chunk_buffers {
    pthread_mutex_t lock;
    struct spare *lists[CLASSES]; /* lock; by log2 of the size */
    size_t held, limit;           /* lock; bytes in the lists */
};

static unsigned class_of(size_t size)
{
    return 63u - (unsigned)__builtin_clzl(size);
}

struct chunk_buffers *chunk_buffers_new(size_t spare)
{
    struct chunk_buffers *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    pthread_mutex_init(&b->lock, NULL);
    b->limit = spare;
    return b;
}

static void release(void *data, size_t size)
{
    secret_wipe(data, size);
    munmap(data, size);
}

void chunk_buffers_free(struct chunk_buffers *b)
{
    if (!b)
        return;
    for (unsigned i = 0; i < CLASSES; i++)
        while (b->lists[i]) {
            struct spare *spare = b->lists[i];
            b->lists[i] = spare->next;
            release(spare, (size_t)1 << i);
        }
    pthread_mutex_destroy(&b->lock);
    free(b);
}

uint8_t *chunk_buffers_take(struct chunk_buffers *b, size_t size)
{
    {
        LOCK_SCOPE(&b->lock);
        struct spare **list = &b->lists[class_of(size)];
        if (*list) {
            struct spare *spare = *list;
            *list = spare->next;
            b->held -= size;
            return (uint8_t *)spare;
        }
    }
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
        return NULL;
    madvise(data, size, MADV_DONTDUMP);
    mlock2(data, size, MLOCK_ONFAULT); /* beyond the limit it stays unlocked */
    return data;
}

void chunk_buffers_give(struct chunk_buffers *b, uint8_t *data, size_t size)
{
    if (!data)
        return;
    {
        LOCK_SCOPE(&b->lock);
        if (b->held + size <= b->limit) {
            struct spare *spare = (struct spare *)(void *)data;
            spare->next = b->lists[class_of(size)];
            b->lists[class_of(size)] = spare;
            b->held += size;
            return;
        }
    }
    release(data, size);
}
