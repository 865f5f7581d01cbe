/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The operations on a keyring. Each goes down from the root to one place after another (tree.c
 * keeps the nodes and reads those that are missing) and works on what it finds there with the lock
 * held; none holds the lock while a node is read, made into an object, or handed to `put`.
 *
 * A save goes twice over the changed nodes: first it makes and puts the objects, children before
 * parents, with the lock free (only the thread that saves may change nodes, so they stand still);
 * only when all of them are put, a second pass under the lock calls them unchanged. So a save that
 * fails half-way leaves every node changed, and the next one puts all of them again: what was put
 * before an error may be lost with the error. */
#include "isrfs/keyring/keyring.h"

#include "isrfs/base/secret.h"
#include "isrfs/keyring/tree.h"

#define LOADED_MAX_DEFAULT 512u

struct keyring *keyring_new(const struct keyring_config *config, unsigned height,
                            const struct object_ref *root)
{
    if (height > KEYRING_HEIGHT_MAX || (height == 0 && !object_id_is_hole(&root->id))) {
        errno = EINVAL;
        return NULL;
    }
    struct keyring *k = secret_alloc(sizeof *k); /* it holds the root's key */
    if (!k)
        return NULL;
    k->codec = config->codec;
    k->store = config->store;
    k->secret = config->secret;
    k->loaded_max = config->loaded_max ? config->loaded_max : LOADED_MAX_DEFAULT;
    k->height = height;
    k->root = *root;
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->load_ended, NULL);
    return k;
}

void keyring_free(struct keyring *k)
{
    if (!k)
        return;
    tree_free(k);
    pthread_cond_destroy(&k->load_ended);
    pthread_mutex_destroy(&k->lock);
    secret_free(k);
}

unsigned keyring_height_for(uint64_t count)
{
    unsigned height = 0;
    while (height < KEYRING_HEIGHT_MAX && count > tree_capacity(height))
        height++;
    return height;
}

/* Finds the leaf that has the entry of INDEX, or the hole it lies in (no branch). */
static int find_leaf(struct keyring *k, uint64_t index, struct place *ret)
{
    int r = tree_find(k, index, 0, true, ret);
    if (r < 0)
        return r;
    return ret->branch && ret->branch->node.patches > 0 ? -ENOTSUP : 0;
}

static unsigned leaf_slot(uint64_t index)
{
    return index % KEYRING_FANOUT;
}

int keyring_lookup(struct keyring *k, uint64_t index, struct object_ref *ret)
{
    struct place p;
    LOCK_SCOPE(&k->lock);

    int r = find_leaf(k, index, &p);
    if (r < 0)
        return r;
    if (p.branch)
        *ret = node_entry(&p.branch->node, leaf_slot(index));
    else
        memset(ret, 0, sizeof *ret);
    return 0;
}

bool keyring_at_hand(struct keyring *k, uint64_t first, uint64_t last)
{
    LOCK_SCOPE(&k->lock);
    if (last > tree_capacity(k->height))
        last = tree_capacity(k->height);
    /* what lies on the way to the last is not needed if all up to the end goes */
    return first >= last || (tree_at_hand(k, first) &&
                             (last == tree_capacity(k->height) || tree_at_hand(k, last - 1)));
}

int keyring_peek(struct keyring *k, uint64_t index, struct object_ref *ret)
{
    struct place p;
    LOCK_SCOPE(&k->lock);
    int r = tree_at_hand(k, index) ? find_leaf(k, index, &p) : -EAGAIN;
    if (r == 0)
        *ret = p.branch ? node_entry(&p.branch->node, leaf_slot(index)) : (struct object_ref){0};
    return r;
}

/* Moves INDEX to the first entry up to LAST that is data (or a hole), else beyond LAST. */
static bool next_in_leaf(const struct branch *b, uint64_t *index, uint64_t last, bool data)
{
    for (; *index <= last; ++*index) {
        if (object_id_is_hole(&b->node.ids[leaf_slot(*index)]) != data)
            return true;
    }
    return false;
}

int keyring_next(struct keyring *k, uint64_t index, uint64_t end, bool data, uint64_t *ret)
{
    struct place p;
    LOCK_SCOPE(&k->lock);

    while (index < end) {
        int r = find_leaf(k, index, &p);
        if (r < 0)
            return r;
        uint64_t last = tree_last(index, p.level);
        if (p.branch && next_in_leaf(p.branch, &index, last < end ? last : end - 1, data))
            break;
        if (!p.branch && !data)
            break;
        if (!p.branch)
            index = last + 1;
    }
    *ret = index < end ? index : end;
    return 0;
}

int keyring_set(struct keyring *k, uint64_t index, const struct object_ref *ref)
{
    bool hole = object_id_is_hole(&ref->id);
    struct place p;

    if (!k->secret)
        return -EROFS;
    if (index >= tree_capacity(KEYRING_HEIGHT_MAX))
        return -EFBIG;
    LOCK_SCOPE(&k->lock);
    int r = hole ? 0 : tree_grow(k, index);
    if (r < 0)
        return r;
    for (;;) {
        r = find_leaf(k, index, &p);
        if (r < 0)
            return r;
        if (p.branch)
            break;
        if (hole)
            return 0;
        r = tree_create(k, &p);
        if (r < 0)
            return r;
    }
    struct object_ref old = node_entry(&p.branch->node, leaf_slot(index));
    bool same = object_id_equal(&old.id, &ref->id) &&
                (hole || secret_equal(&old.key, &ref->key, sizeof old.key));
    secret_wipe(&old.key, sizeof old.key);
    if (!same) {
        node_set_entry(&p.branch->node, leaf_slot(index), ref);
        tree_mark(k, p.branch);
    }
    return 0;
}

/* Does a subtree of HEIGHT levels that begins at FIRST lie before LAST? */
static bool covers(unsigned height, uint64_t first, uint64_t last)
{
    bool begins = first == 0 || (height < KEYRING_HEIGHT_MAX && first % tree_capacity(height) == 0);
    return begins && tree_last(first, height - 1) < last;
}

static void clear_in_leaf(struct keyring *k, struct branch *b, uint64_t first, uint64_t last)
{
    for (uint64_t i = first; i <= last; i++) {
        if (object_id_is_hole(&b->node.ids[leaf_slot(i)]))
            continue;
        node_set_entry(&b->node, leaf_slot(i), &(struct object_ref){0});
        tree_mark(k, b);
    }
}

int keyring_clear(struct keyring *k, uint64_t first, uint64_t last)
{
    struct place p;

    if (!k->secret)
        return -EROFS;
    LOCK_SCOPE(&k->lock);
    if (last > tree_capacity(k->height))
        last = tree_capacity(k->height);
    while (first < last) {
        unsigned covered = k->height; /* levels of the highest subtree that can go unread */
        while (covered > 0 && !covers(covered, first, last))
            covered--;
        int r = covered > 0 ? tree_find(k, first, covered - 1, false, &p) : find_leaf(k, first, &p);
        if (r < 0)
            return r;
        uint64_t end = tree_last(first, p.level) < last ? tree_last(first, p.level) : last - 1;
        if (covered > 0 && !tree_is_hole(k, &p))
            tree_drop(k, &p);
        else if (p.branch)
            clear_in_leaf(k, p.branch, first, end);
        first = end + 1;
    }
    return 0;
}

struct saver {
    struct keyring *k;
    int (*put)(void *ctx, const struct object_id *id, const void *object, size_t size);
    void *ctx;
    struct buffer object;
};

/* The first changed child from *SLOT on, whose slot it gives, or NULL. Changed branches stay where
 * they are until the thread that saves moves on. */
static struct branch *changed_child(struct keyring *k, struct branch *b, unsigned *slot)
{
    LOCK_SCOPE(&k->lock);

    for (; *slot < KEYRING_FANOUT; ++*slot) {
        if (b->children[*slot] && b->children[*slot]->changed)
            return b->children[*slot];
    }
    return NULL;
}

static int save_branch(struct saver *s, struct branch *b, struct object_ref *ret)
{
    struct branch *child;

    for (unsigned slot = 0; (child = changed_child(s->k, b, &slot)); slot++) {
        int r = save_branch(s, child, ret);
        if (r < 0)
            return r;
        LOCK_SCOPE(&s->k->lock);
        node_set_entry(&b->node, slot, ret);
    }
    if (node_is_hole(&b->node)) {
        memset(ret, 0, sizeof *ret);
        return 0;
    }
    int r = node_seal(s->k->codec, s->k->secret, &b->node, &s->object, ret);
    if (r < 0)
        return r;
    return s->put(s->ctx, &ret->id, s->object.data, s->object.size);
}

int keyring_save(struct keyring *k,
                 int (*put)(void *ctx, const struct object_id *id, const void *object, size_t size),
                 void *ctx, struct object_ref *ret_root, unsigned *ret_height)
{
    struct saver s = {.k = k, .put = put, .ctx = ctx};
    struct branch *top;
    struct object_ref root;

    pthread_mutex_lock(&k->lock);
    top = k->top;
    root = k->root;
    bool changed = k->changed;
    pthread_mutex_unlock(&k->lock);

    if (changed && top && top->changed) {
        int r = save_branch(&s, top, &root);
        buffer_free(&s.object);
        if (r < 0) {
            secret_wipe(&root.key, sizeof root.key);
            return r;
        }
    }
    LOCK_SCOPE(&k->lock);
    if (changed || object_id_is_hole(&root.id))
        tree_settle(k, &root);
    *ret_root = root;
    *ret_height = k->height;
    secret_wipe(&root.key, sizeof root.key);
    return 0;
}

bool keyring_changed(const struct keyring *k)
{
    struct keyring *locked = (struct keyring *)k;
    LOCK_SCOPE(&locked->lock);
    return k->changed;
}
