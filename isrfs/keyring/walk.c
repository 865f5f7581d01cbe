/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The walk without keys: depth first, parents before children, on the clear part of each node.
 *
 * A node's level must be one less than its parent's, and the root's is below KEYRING_HEIGHT_MAX, so
 * the recursion is at most that deep whatever a store serves. Beside each node goes the base's node
 * at the same place, if there is one. Trees of unlike heights meet at their left edge: the lower
 * one's root stands where the higher one has its child 0, 0, ... So the base's id that is carried
 * along is either at the node's own level, or (only on the left edge) below it. */
#include "isrfs/keyring/walk.h"

#include "isrfs/base/log.h"
#include "isrfs/keyring/node.h"

#define LEVEL_ANY KEYRING_HEIGHT_MAX

struct walk {
    struct store *store;
    struct codec *codec;
    const struct walk_visitor *visitor;
};

/* A node that was read. */
struct seen {
    struct buffer object;
    struct node_clear node; /* points into it; count 0: there is none */
};

/* A place: what is there and how high. */
struct spot {
    struct object_id id; /* a hole: nothing */
    unsigned level;
};

static void seen_free(struct seen *s)
{
    buffer_free(&s->object);
}

static int read_node(const struct walk *w, const struct spot *at, struct seen *ret)
{
    const char *reason = NULL;
    char hex[OBJECT_ID_HEX + 1];

    int r = store_get(w->store, &at->id, &ret->object);
    if (r < 0)
        return r;
    r = codec_check(w->codec, OBJECT_NODE, &at->id, ret->object.data, ret->object.size);
    if (r == 0)
        r = node_read_clear(ret->object.data, ret->object.size, &ret->node, &reason);
    if (r == 0 && at->level != LEVEL_ANY && ret->node.level != at->level) {
        reason = "its level is not the one that belongs here";
        r = -EBADMSG;
    }
    if (reason) { /* else codec_check has told it */
        object_id_to_hex(&at->id, hex);
        log_error("keyring node %s is refused: %s", hex, reason);
    }
    if (r < 0) {
        ret->node.count = 0;
        ret->node.patches = 0;
    }
    return r;
}

/* The base's node, when it stands at the same place. One that cannot be read proves nothing about
 * what is below it: then all of that is visited, as if there were none. */
static void read_base(const struct walk *w, const struct spot *base, unsigned level,
                      struct seen *ret)
{
    if (object_id_is_hole(&base->id) || base->level != level)
        return;
    if (read_node(w, base, ret) < 0)
        log_debug("a node of the base cannot be read; what is below it is visited");
}

/* Goes down the left edge of the base until it is no higher than LEVEL. */
static void lower_base(const struct walk *w, struct spot *base, unsigned level)
{
    while (!object_id_is_hole(&base->id) && (base->level == LEVEL_ANY || base->level > level)) {
        CLEANUP(seen_free) struct seen s = {0};
        struct spot at = *base;

        if (read_node(w, &at, &s) < 0) {
            log_debug("the base cannot be read; everything is visited");
            *base = (struct spot){0};
            return;
        }
        base->level = s.node.level;
        if (base->level > level) {
            base->id = node_clear_id(&s.node, 0);
            base->level--;
        }
    }
}

static bool has_patch(const struct node_clear *n, const struct object_id *id)
{
    for (unsigned i = 0; i < n->patches; i++) {
        struct object_id other = node_clear_patch(n, i);
        if (object_id_equal(&other, id))
            return true;
    }
    return false;
}

static int visit_object(const struct walk *w, enum object_kind kind, const struct object_id *id,
                        uint64_t index)
{
    int r = w->visitor->object(w->visitor->ctx, kind, id, index, NULL, 0);
    return r < 0 ? r : 0;
}

/* What a store found damaged it has told; so has read_node of what is not well-formed. */
static int visit_bad(const struct walk *w, const struct spot *at, uint64_t index, int error)
{
    char hex[OBJECT_ID_HEX + 1];

    if (w->visitor->bad)
        return w->visitor->bad(w->visitor->ctx, &at->id, index, error);
    object_id_to_hex(&at->id, hex);
    if (error != -EBADMSG)
        log_error("keyring node %s cannot be read: %s", hex, strerror(-error));
    return error;
}

static int visit_patches(const struct walk *w, const struct node_clear *n,
                         const struct node_clear *base, uint64_t index)
{
    for (unsigned i = 0; i < n->patches; i++) {
        struct object_id id = node_clear_patch(n, i);
        int r = has_patch(base, &id) ? 0 : visit_object(w, OBJECT_PATCH, &id, index);
        if (r < 0)
            return r;
    }
    return 0;
}

static int visit_node(const struct walk *w, const struct spot *at, uint64_t index,
                      struct spot base);

static int visit_entries(const struct walk *w, const struct node_clear *n, uint64_t index,
                         const struct node_clear *base_node, const struct spot *base)
{
    for (unsigned i = 0; i < n->count; i++) {
        struct spot child = {.id = node_clear_id(n, i), .level = n->level - 1};
        struct spot other = {.id = node_clear_id(base_node, i), .level = n->level - 1};
        uint64_t child_index = index + ((uint64_t)i << (8 * n->level));

        if (object_id_is_hole(&child.id) || object_id_equal(&child.id, &other.id))
            continue;
        if (i == 0 && base->level < n->level)
            other = *base;
        int r = n->level == 0 ? visit_object(w, OBJECT_CHUNK, &child.id, child_index)
                              : visit_node(w, &child, child_index, other);
        if (r < 0)
            return r;
    }
    return 0;
}

static int visit_node(const struct walk *w, const struct spot *at, uint64_t index, struct spot base)
{
    const struct walk_visitor *v = w->visitor;
    CLEANUP(seen_free) struct seen s = {0};
    CLEANUP(seen_free) struct seen b = {0};

    if (base.level == at->level && object_id_equal(&at->id, &base.id))
        return 0;
    int r = read_node(w, at, &s);
    if (r < 0)
        return visit_bad(w, at, index, r);
    lower_base(w, &base, s.node.level);
    if (base.level == s.node.level && object_id_equal(&at->id, &base.id))
        return 0;
    r = v->object(v->ctx, OBJECT_NODE, &at->id, index, s.object.data, s.object.size);
    if (r != 0)
        return r < 0 ? r : 0;
    read_base(w, &base, s.node.level, &b);
    r = visit_patches(w, &s.node, &b.node, index);
    if (r < 0)
        return r;
    return visit_entries(w, &s.node, index, &b.node, &base);
}

int walk_tree(struct store *store, struct codec *codec, const struct object_id *root,
              const struct object_id *base, const struct walk_visitor *visitor)
{
    const struct walk w = {.store = store, .codec = codec, .visitor = visitor};
    const struct spot at = {.id = *root, .level = LEVEL_ANY};
    struct spot below = {.level = LEVEL_ANY};

    if (base)
        below.id = *base;
    return visit_node(&w, &at, 0, below);
}

int walk_catalog_count(const void *object, size_t size, size_t *ret_count)
{
    struct reader r = reader_of(object, size);

    reader_bytes(&r, OBJECT_HEADER_SIZE);
    size_t count = reader_u32(&r);
    if (r.bad || r.left < OBJECT_TAG_SIZE ||
        count > (r.left - OBJECT_TAG_SIZE) / sizeof(struct object_id))
        return -EBADMSG;
    *ret_count = count;
    return 0;
}

struct object_id walk_catalog_root(const void *object, size_t i)
{
    struct object_id id;
    memcpy(&id, (const uint8_t *)object + OBJECT_HEADER_SIZE + 4 + i * sizeof id, sizeof id);
    return id;
}
