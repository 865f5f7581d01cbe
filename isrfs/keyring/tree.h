/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The part of a keyring that is in memory: which nodes are loaded, changed, in use. Private to this
 * folder. All functions but tree_free are called with the keyring's lock held. */
#ifndef ISRFS_KEYRING_TREE_H
#define ISRFS_KEYRING_TREE_H

#include <pthread.h>

#include "isrfs/keyring/node.h"

/* A node in memory, in memory of its own from secret_alloc. The keyring's lock guards all fields;
 * only the one thread that may change the keyring writes `node`, so that thread (alone) may read it
 * without the lock. */
struct branch {
    struct node node;
    struct branch *parent; /* NULL: the top */
    unsigned slot;         /* where it hangs in its parent */
    unsigned child_count;
    struct branch *children[KEYRING_FANOUT]; /* those in memory */
    unsigned users;                          /* threads that read a child of it just now */
    bool changed;                            /* since the last save; then its parents are too */
    bool dead;                               /* cut off while in use: the last user frees it */
    bool listed;
    struct branch *newer, *older;
};

struct load;

struct keyring {
    struct codec *codec;
    struct store *store;
    const struct object_secret *secret;
    size_t loaded_max;

    pthread_mutex_t lock; /* guards all below, and all branches */
    pthread_cond_t load_ended;
    unsigned height;
    struct object_ref root; /* the top node as it was loaded or saved; a hole if it never was */
    struct branch *top;     /* the top node, once loaded or made */
    size_t unchanged;       /* branches in memory that have not changed */
    /* Branches that can be forgotten: unchanged, without children in memory. By last use. */
    struct branch *newest, *oldest;
    struct load *loads; /* under way */
    bool changed;
};

/* A place in the tree: a slot of a branch that is in memory, or the root's. Valid until the lock is
 * next given up. */
struct place {
    struct branch *parent; /* NULL: the root's place */
    unsigned slot;
    unsigned level;        /* of the node that is or would be there */
    struct branch *branch; /* that node, if it is in memory */
};

/* How many entries a tree of that height has room for; UINT64_MAX - 1 is the highest index of all.
 */
uint64_t tree_capacity(unsigned height);

/* The last index below the node of LEVEL that INDEX lies below. */
uint64_t tree_last(uint64_t index, unsigned level);

/* Finds the place of the node of LEVEL on the way to INDEX. Nodes above it are read as needed, with
 * the lock given up meanwhile, and the node itself too with LOAD. Stops at a higher place if that
 * is a hole: then `branch` is NULL and nothing lies below; beyond the tree `level` is
 * KEYRING_HEIGHT_MAX. Errors as keyring_lookup. */
int tree_find(struct keyring *k, uint64_t index, unsigned level, bool load, struct place *ret);

/* Would tree_find read nothing on the way to the leaf of INDEX? */
bool tree_at_hand(const struct keyring *k, uint64_t index);

/* Is there nothing at that place, neither stored nor in memory? */
bool tree_is_hole(const struct keyring *k, const struct place *p);

/* Puts a new, empty, changed node at a place that is a hole. 0 or -ENOMEM. */
int tree_create(struct keyring *k, const struct place *p);

/* Makes the tree high enough for INDEX. 0 or -ENOMEM. */
int tree_grow(struct keyring *k, uint64_t index);

/* Makes a hole of what is at that place, whether it is in memory or not. */
void tree_drop(struct keyring *k, const struct place *p);

/* Notes that B's entries have changed. */
void tree_mark(struct keyring *k, struct branch *b);

/* After a save: all that was changed is so no more; nodes in which nothing is left are forgotten.
 * ROOT is the top node's new name. */
void tree_settle(struct keyring *k, const struct object_ref *root);

/* Releases all branches. No other thread may use the keyring any more. */
void tree_free(struct keyring *k);

#endif
