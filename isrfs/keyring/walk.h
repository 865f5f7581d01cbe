/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Walking keyrings without any key: ids are in the clear (DESIGN 3), so that whoever keeps a store
 * can verify, count, copy and push, and can read nothing. */
#ifndef ISRFS_KEYRING_WALK_H
#define ISRFS_KEYRING_WALK_H

#include "isrfs/codec/codec.h"
#include "isrfs/store/store.h"

/* Called for an object that is reached: 0 goes on (for a node: into it), 1 goes on but not into it,
 * negative errno ends the walk with that. INDEX is the number of the first chunk below it. Parents
 * come before their children. OBJECT is its bytes for nodes and catalogs (checked against the id),
 * NULL for chunks and patches. */
struct walk_visitor {
    int (*object)(void *ctx, enum object_kind kind, const struct object_id *id, uint64_t index,
                  const void *object, size_t size);
    /* A node that could not be read or is not well-formed: 0 skips it, other ends the walk. NULL:
     * ends. */
    int (*bad)(void *ctx, const struct object_id *id, uint64_t index, int error);
    void *ctx;
};

/* Walks the tree below ROOT (not a hole), reading nodes from STORE. Every object that also stands
 * at the same place of the tree below BASE is passed over with all below it (BASE may be NULL or a
 * hole: everything is visited). The root's own level says how high it is, less than
 * KEYRING_HEIGHT_MAX (a node's level counts down by one from parent to child, so that loops cannot
 * be). Trees of unlike heights meet at their left edge. What cannot be read of the base counts as
 * not there: more is visited then, never less. 0, or the first error. Memory: a node of each tree a
 * level. */
int walk_tree(struct store *store, struct codec *codec, const struct object_id *root,
              const struct object_id *base, const struct walk_visitor *visitor);

/* The clear part of a catalog object's bytes: how many file roots there are, and the i-th (a hole
 * for an empty file). The object must have passed codec_check. -EBADMSG if its counts do not fit
 * its size. */
int walk_catalog_count(const void *object, size_t size, size_t *ret_count);
struct object_id walk_catalog_root(const void *object, size_t i);

#endif
