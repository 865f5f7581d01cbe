/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One node of a keyring: object body <-> memory. Private to this folder. Pure functions.
 *
 * Body (DESIGN 3): level u8, flags u8 (how many patches), count u16, count x id, patch ids; then,
 * encrypted, a key for each id in the same order. A hole's id and key are zero. */
#ifndef ISRFS_KEYRING_NODE_H
#define ISRFS_KEYRING_NODE_H

#include "isrfs/codec/codec.h"
#include "isrfs/keyring/keyring.h"

/* What can be seen of a node without its key. The pointers lead into the object. */
struct node_clear {
    unsigned level;
    unsigned count;
    unsigned patches;
    const uint8_t *ids;
    const uint8_t *patch_ids;
    size_t size; /* bytes in the clear after the object's header */
};

/* A node with its keys: only in memory from secret_alloc. Entries beyond the count are holes. */
struct node {
    unsigned level;
    unsigned patches; /* how many patches it names; their content is not read */
    struct object_id ids[KEYRING_FANOUT];
    struct object_key keys[KEYRING_FANOUT + KEYRING_PATCH_MAX]; /* the last for decryption only */
};

/* Reads the clear part of an object that codec_check found to be a node. 0, or -EBADMSG with a
 * reason (static text) for anything that is not laid out as it must be. */
int node_read_clear(const void *object, size_t size, struct node_clear *ret,
                    const char **ret_reason);

/* The i-th entry's id, a hole beyond the count. */
struct object_id node_clear_id(const struct node_clear *n, unsigned i);
struct object_id node_clear_patch(const struct node_clear *n, unsigned i);

/* Checks the object, from its id on, and opens it. 0, or -EBADMSG with a reason (NULL: codec_check
 * has told it), or as codec_open. */
int node_open(struct codec *codec, const struct object_ref *ref, unsigned level, const void *object,
              size_t size, struct node *ret, const char **ret_reason);

/* Makes the object: canonical, without holes at its end. N has an entry that is not a hole, and no
 * patches. Errors as codec_seal. */
int node_seal(struct codec *codec, const struct object_secret *secret, const struct node *n,
              struct buffer *out, struct object_ref *ret);

/* True if all entries are holes. */
bool node_is_hole(const struct node *n);

struct object_ref node_entry(const struct node *n, unsigned i);
void node_set_entry(struct node *n, unsigned i, const struct object_ref *ref);

#endif
