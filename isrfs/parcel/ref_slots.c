/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Slabs of secret memory, cut into slots; free slots are linked through their own bytes. Slabs are
 * kept until the end. */
#include "isrfs/parcel/ref_slots.h"

#include "isrfs/base/cleanup.h"
#include "isrfs/base/secret.h"

#define SLAB_SLOTS 1023

union slot {
    union slot *next;
    struct object_ref ref;
};

struct slab {
    struct slab *next;
    union slot slots[SLAB_SLOTS];
};

struct ref_slots {
    pthread_mutex_t lock;
    struct slab *slabs; /* lock */
    union slot *unused; /* lock */
};

struct ref_slots *ref_slots_new(void)
{
    struct ref_slots *s = calloc(1, sizeof *s);
    if (s)
        pthread_mutex_init(&s->lock, NULL);
    return s;
}

void ref_slots_free(struct ref_slots *s)
{
    if (!s)
        return;
    while (s->slabs) {
        struct slab *slab = s->slabs;
        s->slabs = slab->next;
        secret_free(slab);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void put_unused(struct ref_slots *s, union slot *slot)
{
    slot->next = s->unused;
    s->unused = slot;
}

struct object_ref *ref_slots_take(struct ref_slots *s)
{
    LOCK_SCOPE(&s->lock);
    if (!s->unused) {
        struct slab *slab = secret_alloc(sizeof *slab);
        if (!slab)
            return NULL;
        slab->next = s->slabs;
        s->slabs = slab;
        for (size_t i = 0; i < SLAB_SLOTS; i++)
            put_unused(s, &slab->slots[i]);
    }
    union slot *slot = s->unused;
    s->unused = slot->next;
    return &slot->ref;
}

void ref_slots_give(struct ref_slots *s, struct object_ref *ref)
{
    if (!ref)
        return;
    secret_wipe(ref, sizeof *ref);
    LOCK_SCOPE(&s->lock);
    put_unused(s, (union slot *)ref);
}
