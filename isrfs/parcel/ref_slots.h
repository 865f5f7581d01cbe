/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Places for many single keys in secret memory, which comes by the page. Any thread may call. */
#ifndef ISRFS_PARCEL_REF_SLOTS_H
#define ISRFS_PARCEL_REF_SLOTS_H

#include "isrfs/codec/object.h"

struct ref_slots;

struct ref_slots *ref_slots_new(void); /* NULL: no memory */
/* Every slot must have been given back. NULL is allowed. */
void ref_slots_free(struct ref_slots *s);

/* A slot, or NULL. It is wiped when it is given back (NULL is allowed). */
struct object_ref *ref_slots_take(struct ref_slots *s);
void ref_slots_give(struct ref_slots *s, struct object_ref *ref);

#endif
