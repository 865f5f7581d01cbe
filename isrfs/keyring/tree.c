/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The nodes in memory.
 *
 * A place of the tree is a hole, unloaded (its entry has an id), loading, or loaded (it has a
 * branch, which then counts, whatever the entry says). Who needs an unloaded node notes the load in
 * `loads`, gives up the lock, reads and opens it, takes the lock again and hangs it in if the place
 * still wants it; then everybody looks again from the top, for the tree may have changed meanwhile.
 * Others who need the same node wait for that load and share its error; a failed load leaves no
 * trace, so the next lookup tries again.
 *
 * Invariants, whenever the lock is free:
 * - the parent of a branch is in memory; the parent of a changed branch is changed;
 * - a branch is listed exactly if it is unchanged and has no children in memory;
 * - a branch with users is not freed: it can be cut off from the tree (dead), and then its last
 * user frees it, and what was read for it is thrown away.
 *
 * One lock, the keyring's; nothing is called under it that takes another one or blocks. */
#include "isrfs/keyring/tree.h"

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"

#define SLOT_BITS 8u

struct load {
    struct load *next;
    const struct branch *parent; /* with slot and level: the place. Kept alive by its users count */
    unsigned slot;
    unsigned level;
    struct object_id id;
    unsigned refs; /* the thread that reads and those who wait */
    bool ended;
    int error;
};

uint64_t tree_capacity(unsigned height)
{
    if (height == 0)
        return 0;
    return height < KEYRING_HEIGHT_MAX ? (uint64_t)1 << (SLOT_BITS * height) : UINT64_MAX;
}

uint64_t tree_last(uint64_t index, unsigned level)
{
    uint64_t last =
        level + 1 < KEYRING_HEIGHT_MAX ? index | (tree_capacity(level + 1) - 1) : UINT64_MAX;
    return last < UINT64_MAX ? last : UINT64_MAX - 1;
}

/* ---- places ---- */

static struct branch **place_link(struct keyring *k, const struct place *p)
{
    return p->parent ? &p->parent->children[p->slot] : &k->top;
}

static struct object_ref place_ref(const struct keyring *k, const struct place *p)
{
    return p->parent ? node_entry(&p->parent->node, p->slot) : k->root;
}

static const struct object_id *place_id(const struct keyring *k, const struct place *p)
{
    return p->parent ? &p->parent->node.ids[p->slot] : &k->root.id;
}

static struct place place_below(const struct place *p, uint64_t index)
{
    unsigned slot = (index >> (SLOT_BITS * p->level)) & (KEYRING_FANOUT - 1);
    return (struct place){.parent = p->branch,
                          .slot = slot,
                          .level = p->level - 1,
                          .branch = p->branch->children[slot]};
}

bool tree_is_hole(const struct keyring *k, const struct place *p)
{
    return !p->branch && (p->level >= k->height || object_id_is_hole(place_id(k, p)));
}

/* ---- the list of those that can be forgotten ---- */

static void list_remove(struct keyring *k, struct branch *b)
{
    if (!b->listed)
        return;
    *(b->newer ? &b->newer->older : &k->newest) = b->older;
    *(b->older ? &b->older->newer : &k->oldest) = b->newer;
    b->listed = false;
}

static void list_add(struct keyring *k, struct branch *b)
{
    b->newer = NULL;
    b->older = k->newest;
    *(k->newest ? &k->newest->newer : &k->oldest) = b;
    k->newest = b;
    b->listed = true;
}

/* To be called whenever B was used, or what decides whether it is listed has changed. */
static void relist(struct keyring *k, struct branch *b)
{
    list_remove(k, b);
    if (!b->changed && b->child_count == 0)
        list_add(k, b);
}

/* ---- branches ---- */

static void attach(struct keyring *k, const struct place *p, struct branch *b)
{
    b->parent = p->parent;
    b->slot = p->slot;
    *place_link(k, p) = b;
    if (!b->changed)
        k->unchanged++;
    relist(k, b);
    if (p->parent) {
        p->parent->child_count++;
        relist(k, p->parent);
    }
}

/* Takes B out of the tree and frees it, or leaves that to its last user. It has no children. */
static void discard(struct keyring *k, struct branch *b)
{
    struct branch *parent = b->parent;

    list_remove(k, b);
    if (!b->changed)
        k->unchanged--;
    *(parent ? &parent->children[b->slot] : &k->top) = NULL;
    if (parent) {
        parent->child_count--;
        relist(k, parent);
    }
    b->parent = NULL;
    b->dead = true;
    if (b->users == 0)
        secret_free(b);
}

static void discard_all(struct keyring *k, struct branch *b)
{
    for (unsigned i = 0; i < KEYRING_FANOUT && b->child_count > 0; i++) {
        if (b->children[i])
            discard_all(k, b->children[i]);
    }
    discard(k, b);
}

static void unuse(struct branch *b)
{
    if (b && --b->users == 0 && b->dead)
        secret_free(b);
}

static void evict(struct keyring *k)
{
    struct branch *next;

    for (struct branch *b = k->oldest; b && k->unchanged > k->loaded_max; b = next) {
        next = b->newer;
        if (b->users == 0)
            discard(k, b);
    }
}

/* ---- loading ---- */

static int fetch(struct keyring *k, const struct object_ref *ref, unsigned level,
                 struct branch **ret)
{
    CLEANUP_BUFFER struct buffer object = {0};
    CLEANUP_SECRET struct branch *b = NULL;
    const char *reason = NULL;
    char hex[OBJECT_ID_HEX + 1];

    object_id_to_hex(&ref->id, hex);
    int r = store_get(k->store, &ref->id, &object);
    if (r < 0) {
        if (r != -EBADMSG && r != -EHOSTDOWN) /* those the store has told */
            log_error("keyring node %s cannot be read: %s", hex, strerror(-r));
        return r;
    }
    b = secret_alloc(sizeof *b);
    if (!b)
        return -ENOMEM;
    r = node_open(k->codec, ref, level, object.data, object.size, &b->node, &reason);
    if (r < 0 && reason)
        log_error("keyring node %s (level %u) is refused: %s", hex, level, reason);
    if (r < 0)
        return r;
    if (b->node.patches > 0)
        log_error("keyring node %s: patches are not read by this release", hex);
    *ret = steal_ptr(b);
    return 0;
}

/* Does the place still want the node that was read for it? The root's place may have moved up. */
static bool still_wanted(struct keyring *k, const struct place *p, const struct object_id *id)
{
    if (p->parent ? p->parent->dead : p->level + 1 != k->height)
        return false;
    return !*place_link(k, p) && object_id_equal(place_id(k, p), id);
}

static void load_unref(struct load *l)
{
    if (--l->refs == 0)
        free(l);
}

static int load_wait(struct keyring *k, struct load *l)
{
    l->refs++;
    while (!l->ended)
        pthread_cond_wait(&k->load_ended, &k->lock);
    int r = l->error;
    load_unref(l);
    return r;
}

static void load_end(struct keyring *k, struct load *l, int error)
{
    struct load **at = &k->loads;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    l->ended = true;
    l->error = error;
    pthread_cond_broadcast(&k->load_ended);
    load_unref(l);
}

/* Reads the node at P, or waits for who reads it already. 0: look again. */
static int load(struct keyring *k, const struct place *p)
{
    struct load *l;

    for (l = k->loads; l; l = l->next) {
        if (l->parent == p->parent && l->slot == p->slot && l->level == p->level &&
            object_id_equal(&l->id, place_id(k, p)))
            return load_wait(k, l);
    }
    l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    *l = (struct load){.next = k->loads,
                       .parent = p->parent,
                       .slot = p->slot,
                       .level = p->level,
                       .id = *place_id(k, p),
                       .refs = 1};
    k->loads = l;
    if (p->parent)
        p->parent->users++;
    struct object_ref ref = place_ref(k, p);
    struct branch *b = NULL;

    pthread_mutex_unlock(&k->lock);
    int r = fetch(k, &ref, p->level, &b);
    secret_wipe(&ref.key, sizeof ref.key);
    pthread_mutex_lock(&k->lock);

    if (b && still_wanted(k, p, &ref.id)) {
        attach(k, p, b);
        b->users++; /* the newest is not the one to go */
        evict(k);
        b->users--;
    } else {
        secret_free(b);
    }
    unuse(p->parent);
    load_end(k, l, r);
    return r;
}

int tree_find(struct keyring *k, uint64_t index, unsigned level, bool load_it, struct place *ret)
{
    for (;;) {
        if (index >= tree_capacity(k->height)) {
            *ret = (struct place){.level = KEYRING_HEIGHT_MAX};
            return 0;
        }
        struct place p = {.level = k->height - 1, .branch = k->top};
        while (p.branch && p.level > level)
            p = place_below(&p, index);
        if (p.branch || tree_is_hole(k, &p) || (p.level == level && !load_it)) {
            if (p.branch)
                relist(k, p.branch);
            *ret = p;
            return 0;
        }
        int r = load(k, &p);
        if (r < 0)
            return r;
    }
}

bool tree_at_hand(const struct keyring *k, uint64_t index)
{
    if (index >= tree_capacity(k->height))
        return true;
    struct place p = {.level = k->height - 1, .branch = k->top};
    while (p.branch && p.level > 0)
        p = place_below(&p, index);
    return p.branch || tree_is_hole(k, &p);
}

/* ---- changing ---- */

void tree_mark(struct keyring *k, struct branch *b)
{
    k->changed = true;
    for (; b && !b->changed; b = b->parent) {
        b->changed = true;
        k->unchanged--;
        relist(k, b);
    }
}

int tree_create(struct keyring *k, const struct place *p)
{
    struct branch *b = secret_alloc(sizeof *b);
    if (!b)
        return -ENOMEM;
    b->node.level = p->level;
    attach(k, p, b);
    tree_mark(k, b);
    return 0;
}

int tree_grow(struct keyring *k, uint64_t index)
{
    for (; index >= tree_capacity(k->height); k->height++) {
        struct place root = {.level = k->height};
        struct branch *old = k->top;

        if (k->height == 0 || (!old && object_id_is_hole(&k->root.id)))
            continue;
        k->top = NULL;
        int r = tree_create(k, &root);
        if (r < 0) {
            k->top = old;
            return r;
        }
        node_set_entry(&k->top->node, 0, &k->root);
        memset(&k->root, 0, sizeof k->root);
        if (old) {
            old->parent = k->top;
            k->top->children[0] = old;
            k->top->child_count = 1;
        }
    }
    return 0;
}

void tree_drop(struct keyring *k, const struct place *p)
{
    if (p->branch)
        discard_all(k, p->branch);
    if (p->parent)
        node_set_entry(&p->parent->node, p->slot, &(struct object_ref){0});
    else
        memset(&k->root, 0, sizeof k->root);
    tree_mark(k, p->parent);
}

static void settle(struct keyring *k, struct branch *b)
{
    for (unsigned i = 0; i < KEYRING_FANOUT && b->child_count > 0; i++) {
        if (b->children[i] && b->children[i]->changed)
            settle(k, b->children[i]);
    }
    b->changed = false;
    k->unchanged++;
    if (node_is_hole(&b->node))
        discard(k, b);
    else
        relist(k, b);
}

void tree_settle(struct keyring *k, const struct object_ref *root)
{
    if (k->top && k->top->changed)
        settle(k, k->top);
    k->root = *root;
    if (object_id_is_hole(&root->id))
        k->height = 0;
    k->changed = false;
    evict(k);
}

void tree_free(struct keyring *k)
{
    if (k->top)
        discard_all(k, k->top);
}
