/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keyring of one file: a Merkle tree from chunk index to (key, id), 256 entries a node, itself
 * made of objects (DESIGN 3, 4). Nodes are loaded when they are first needed and forgotten again
 * under a budget, so that nothing costs time or memory in proportion to the file's size.
 *
 * Any thread may call; lookups go on side by side, and no lock is held while a node is fetched. At
 * most one thread at a time may change or save a keyring (the parcel's committer); lookups beside
 * it see the old or the new entry. Calls may block on the store. */
#ifndef ISRFS_KEYRING_KEYRING_H
#define ISRFS_KEYRING_KEYRING_H

#include "isrfs/codec/codec.h"
#include "isrfs/store/store.h"

#define KEYRING_FANOUT     256u
#define KEYRING_HEIGHT_MAX 8u /* 256^8 entries are more than 2^63 bytes of chunks need */
#define KEYRING_PATCH_MAX  4u

struct keyring;

struct keyring_config {
    struct codec *codec;                /* must outlive the keyring, as all that is named here */
    struct store *store;                /* nodes are read from here */
    const struct object_secret *secret; /* for nodes that are written; NULL: read-only */
    size_t loaded_max; /* nodes kept in memory (about 20 KiB each) beyond those that are changed and
                        * those on the way to what is just looked at; 0: 512 */
};

/* A keyring of HEIGHT levels whose root node is ROOT (whose id is a hole: the whole file is one). A
 * tree of height 0 has no entries. Nothing is read yet. NULL with errno EINVAL (height), ENOMEM. */
struct keyring *keyring_new(const struct keyring_config *config, unsigned height,
                            const struct object_ref *root);
void keyring_free(struct keyring *k);

/* The entry of a chunk; a hole (also beyond the tree) has a hole's id. 0, -EBADMSG for a damaged
 * node or one whose level, counts or kinds are not what they must be here, or what store_get says
 * (logged with the node's id there). -ENOTSUP for a level 0 node that has patches (this release
 * does not read patch content; logged when such a node is read). */
int keyring_lookup(struct keyring *k, uint64_t index, struct object_ref *ret);

/* The first index >= INDEX and < END whose entry is data (or, with DATA false, a hole), or END if
 * there is none. Skips subtrees that are holes without reading them. Errors as keyring_lookup. */
int keyring_next(struct keyring *k, uint64_t index, uint64_t end, bool data, uint64_t *ret);

/* Is all in memory that keyring_clear needs for FIRST to LAST - 1 (or keyring_set and
 * keyring_lookup for FIRST alone), so that nothing would be read from the store? Lookups of the
 * first and the last index bring it there. */
bool keyring_at_hand(struct keyring *k, uint64_t first, uint64_t last);
/* As keyring_lookup, but -EAGAIN if that would read from the store. */
int keyring_peek(struct keyring *k, uint64_t index, struct object_ref *ret);

/* Replaces an entry; the tree grows as high as the index needs. REF's id may be a hole's. Errors as
 * keyring_lookup, -ENOMEM, -EROFS without a secret, -EFBIG for an index beyond any height. */
int keyring_set(struct keyring *k, uint64_t index, const struct object_ref *ref);

/* Makes holes of the entries FIRST to LAST - 1. Subtrees that lie inside are dropped unread. Errors
 * as keyring_set; what was cleared before an error stays so, and it can be called again. */
int keyring_clear(struct keyring *k, uint64_t first, uint64_t last);

/* Writes every changed node, children first, by calling PUT with each object (whose bytes stay
 * valid during the call); gives the new root and height. Nodes in which nothing is left become
 * holes; if nothing at all is left, the root is a hole and the height 0. Otherwise a tree never
 * gets lower. After an error (of PUT, or as codec_seal) nothing is lost: call again, and all
 * changed nodes are put again, also those that were put before. Once it has succeeded nodes may be
 * forgotten and read again, so what PUT took must be found in the store. Without changes nothing is
 * put. */
int keyring_save(struct keyring *k,
                 int (*put)(void *ctx, const struct object_id *id, const void *object, size_t size),
                 void *ctx, struct object_ref *ret_root, unsigned *ret_height);

/* True if something was changed since the last save. */
bool keyring_changed(const struct keyring *k);

/* How high a tree must be for COUNT chunks (0 for none). */
unsigned keyring_height_for(uint64_t count);

#endif
