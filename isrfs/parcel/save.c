/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A commit: what was encoded goes into the keyrings (holes first, then refs: a chunk that became a
 * hole lost its ref), these are saved, and a catalog names them.
 *
 * A commit does not have to wait for the home. What it cannot take (a chunk whose base, or a ref
 * whose nodes are not at hand) stays where it is, and is said once more in a batch that the root
 * ends: *left over*. The root is partial then. So what a commit has left over is always in the
 * newest part of the log, just before the root, and nothing older is needed for replaying.
 *
 * One that has begun to change keyrings and fails cannot be taken back, and until it is done the
 * journal takes nothing more; so one that is to take everything has the nodes at hand first. */
#include <string.h>

#include "isrfs/base/secret.h"
#include "isrfs/parcel/parcel_internal.h"

#define OPERATIONS_MAX (1u << 20) /* bytes of a record */

struct list {
    struct file **files; /* each with a reference */
    size_t count;
};

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        file_put(list->files[i]);
    free(list->files);
}

/* With p->names held: all that have a name, each folder before what is in it. */
static void list_below(struct list *list, struct file *folder)
{
    for (struct file *f = folder->children; f; f = f->hh_name.next) {
        f->references++;
        list->files[list->count++] = f;
        list_below(list, f);
    }
}

static int list_all(struct parcel *p, struct list *list, uint64_t *ret_next_file_id)
{
    LOCK_SCOPE(&p->names);
    list->files = calloc(HASH_CNT(hh_id, p->files), sizeof(struct file *));
    if (!list->files)
        return -ENOMEM;
    list_below(list, p->root);
    *ret_next_file_id = p->next_file_id;
    return 0;
}

/* One of a file's changed chunks as it was at the call. */
struct changed {
    uint64_t index;
    bool settled; /* it has a ref */
    bool own;     /* and blocks of its own, or only these */
};

/* The caller's to free; NULL: no memory. */
static struct changed *list_changed(struct file *f, size_t *ret_count)
{
    LOCK_SCOPE(&f->lock);
    struct changed *all = calloc(HASH_CNT(hh, f->dirty) + 1, sizeof *all);
    *ret_count = 0;
    for (struct dirty *d = f->dirty; d && all; d = d->hh.next)
        all[(*ret_count)++] = (struct changed){d->index, d->ref, d->own > 0};
    return all;
}

/* Applies the set of holes to the keyring. As the flusher, frozen. 1: some are left. */
static int apply_holes(struct file *f, bool wait)
{
    for (;;) {
        struct hole_range range;
        {
            LOCK_SCOPE(&f->lock);
            if (f->holes.count == 0)
                return 0;
            range = f->holes.ranges[f->holes.count - 1];
        }
        if (!wait && !keyring_at_hand(f->keyring, range.first, range.last))
            return 1;
        int r = keyring_clear(f->keyring, range.first, range.last);
        if (r < 0) { /* only its ends may lie in nodes that have to be read */
            r = salvage_node(f, range.first, r);
            r = r < 0 ? r : salvage_node(f, range.last - 1, -EBADMSG);
            r = r < 0 ? r : keyring_clear(f->keyring, range.first, range.last);
        }
        if (r < 0)
            return r;
        LOCK_SCOPE(&f->lock);
        f->generation++;
        r = holes_remove(&f->holes, range.first, range.last);
        if (r < 0)
            return r;
    }
}

/* Moves a settled chunk into the keyring. */
static int apply_ref(struct file *f, uint64_t index)
{
    struct object_ref *ref;
    {
        LOCK_SCOPE(&f->lock);
        ref = dirty_find(f, index)->ref;
    }
    int r = keyring_set(f->keyring, index, ref);
    if (r < 0 && (r = salvage_node(f, index, r)) == 0)
        r = keyring_set(f->keyring, index, ref);
    if (r < 0)
        return r;
    LOCK_SCOPE(&f->lock);
    f->generation++;
    dirty_remove(dirty_find(f, index));
    return 0;
}

/* As the flusher, frozen. 1: some are left. */
static int apply_refs(struct file *f, bool wait)
{
    size_t count;
    CLEANUP_FREE struct changed *all = list_changed(f, &count);
    int r = all ? 0 : -ENOMEM, left = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct changed *c = &all[i];
        if (!c->own && !c->settled) {
            LOCK_SCOPE(&f->lock);
            dirty_remove(dirty_find(f, c->index));
        } else if (c->own || (!wait && !keyring_at_hand(f->keyring, c->index, c->index + 1))) {
            left = 1;
        } else {
            r = apply_ref(f, c->index);
        }
    }
    return r < 0 ? r : left;
}

struct save {
    struct parcel *parcel;
    bool wait; /* for nodes that have to be fetched */
    bool left; /* something was left over */
};

/* Holes lie over the keyring and below the changed chunks: with a hole left, so are all refs. */
static int save_file(struct save *s, struct file *f, struct catalog_entry *entry)
{
    int r = apply_holes(f, s->wait);
    if (r == 0)
        r = apply_refs(f, s->wait);
    if (r < 0)
        return r;
    s->left |= r > 0;
    return keyring_save(f->keyring, flush_put_object, s->parcel, &entry->root, &entry->height);
}

/* Adds a file to the catalog. Frozen, as the flusher. */
static int list_file(struct save *s, struct file *f, struct catalog *catalog)
{
    CLEANUP_FREE char *path = file_path(f);
    if (!path)
        return -ENOMEM;
    struct catalog_entry entry = {
        .file_id = f->file_id,
        .path = path,
        .is_folder = f->is_folder,
        .is_volatile = f->is_volatile,
    };
    {
        LOCK_SCOPE(&f->lock);
        entry.mode = f->mode;
        entry.mtime = f->mtime;
        entry.size = f->size;
        entry.chunk_size = f->chunk_size;
    }
    int r = f->is_folder ? 0 : save_file(s, f, &entry);
    r = r < 0 ? r : catalog_add(catalog, &entry);
    secret_wipe(&entry, sizeof entry);
    return r;
}

static int save_catalog(struct save *s, struct list *list, struct catalog *catalog,
                        struct object_ref *ret)
{
    struct parcel *p = s->parcel;
    int r = 0;
    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = list_file(s, list->files[i], catalog);
    CLEANUP_BUFFER struct buffer object = {0};
    r = r < 0 ? r : catalog_encode(p->config.codec, p->config.secret, catalog, &object, ret);
    return r < 0 ? r : flush_put_object(p, &ret->id, object.data, object.size);
}

/* What is left over. */

struct leftover {
    struct parcel *parcel;
    uint64_t batch;
    struct buffer operations; /* secret */
};

static int put_operations(struct leftover *l)
{
    int r = site_log_put_operations(l->parcel->config.log, l->batch, false, l->operations.data,
                                    l->operations.size);
    l->operations.size = 0;
    return r;
}

static int say(struct leftover *l, const struct op *op)
{
    int r = ops_encode(op, &l->operations);
    return r == 0 && l->operations.size > OPERATIONS_MAX ? put_operations(l) : r;
}

static int say_holes(struct leftover *l, struct file *f)
{
    LOCK_SCOPE(&f->lock);
    int r = 0;
    for (size_t i = 0; r == 0 && i < f->holes.count; i++) {
        struct op op = {.type = OP_HOLES,
                        .file_id = f->file_id,
                        .first = f->holes.ranges[i].first,
                        .last = f->holes.ranges[i].last};
        r = say(l, &op);
    }
    return r;
}

static int say_ref(struct leftover *l, struct file *f, uint64_t index)
{
    LOCK_SCOPE(&f->lock);
    struct op op = {
        .type = OP_CHUNK, .file_id = f->file_id, .first = index, .ref = dirty_find(f, index)->ref};
    return say(l, &op);
}

/* Blocks that are in the log only are read back for it. */
static int say_blocks(struct leftover *l, struct file *f, uint64_t index)
{
    bool evicted;
    {
        LOCK_SCOPE(&f->lock);
        evicted = !dirty_find(f, index)->data;
        int r = dirty_load(f, index);
        if (r < 0)
            return r;
    }
    CLEANUP_FREE struct block_set *blocks = NULL;
    int r = blocks_put(f, index, l->batch, true, &blocks);
    struct op op = {.type = OP_BLOCKS, .file_id = f->file_id, .first = index, .blocks = blocks};
    r = r < 0 ? r : say(l, &op);
    LOCK_SCOPE(&f->lock);
    if (evicted && r == 0)
        dirty_evict(dirty_find(f, index));
    return r;
}

static int say_file(struct leftover *l, struct file *f)
{
    size_t count;
    CLEANUP_FREE struct changed *all = list_changed(f, &count);
    int r = all ? say_holes(l, f) : -ENOMEM;
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = all[i].settled ? say_ref(l, f, all[i].index) : 0;
        if (r == 0 && all[i].own)
            r = say_blocks(l, f, all[i].index);
    }
    return r;
}

/* Frozen, as the flusher: the batch that the root is going to end. */
static int say_left(struct parcel *p, const struct list *list)
{
    struct leftover l = {.parcel = p, .batch = site_log_begin_batch(p->config.log)};
    int r = 0;
    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = list->files[i]->is_folder ? 0 : say_file(&l, list->files[i]);
    r = r < 0 ? r : put_operations(&l);
    buffer_free_secret(&l.operations);
    return r;
}

static int save(struct parcel *p, bool wait, struct site_root *root)
{
    CLEANUP_CATALOG struct catalog *catalog = catalog_new();
    CLEANUP(list_free) struct list list = {0};
    if (!catalog)
        return -ENOMEM;
    struct save s = {.parcel = p, .wait = wait};
    int r = list_all(p, &list, &catalog->next_file_id);
    r = r < 0 ? r : save_catalog(&s, &list, catalog, &root->current);
    root->contains = site_log_last_batch(p->config.log);
    root->partial = s.left;
    return r < 0 || !s.left ? r : say_left(p, &list);
}

int parcel_flush(struct parcel *p, bool wait, struct site_root *root)
{
    if (!p->config.log)
        return -EROFS;
    int r = journal_moment(p, root->consistent, &root->consistent);
    r = r < 0 ? r : flush_all(p, wait);
    if (r == 0 && wait && !p->half_committed)
        r = save_fetch(p);
    if (r == 0) {
        p->half_committed = true;
        r = save(p, wait, root);
    }
    if (r == 0)
        journal_said(p, root->consistent, parcel_changes(p));
    return r;
}

void parcel_committed(struct parcel *p)
{
    ops_free(ops_take(p));
    buffer_free(&p->catalog);
    journal_forget_attrs(p);
    p->half_committed = false;
}

/* The node above an entry. With salvage the commit does without one that is gone for good. */
static int fetch_node(struct file *f, uint64_t index)
{
    struct object_ref ref = {0};
    int r = keyring_lookup(f->keyring, index, &ref);
    secret_wipe(&ref, sizeof ref);
    return f->parcel->losses && (r == -EBADMSG || r == -ENOENT) ? 0 : r;
}

/* The nodes for a file's holes and refs. */
static int fetch_nodes(struct file *f)
{
    size_t count, ranges;
    CLEANUP_FREE struct changed *all = list_changed(f, &count);
    CLEANUP_FREE struct hole_range *holes = NULL;
    {
        LOCK_SCOPE(&f->lock);
        ranges = f->holes.count;
        holes = calloc(ranges + 1, sizeof *holes);
        if (holes && ranges)
            memcpy(holes, f->holes.ranges, ranges * sizeof *holes);
    }
    int r = all && holes ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < ranges; i++) {
        r = fetch_node(f, holes[i].first);
        r = r < 0 ? r : fetch_node(f, holes[i].last - 1);
    }
    for (size_t i = 0; r == 0 && i < count; i++)
        r = fetch_node(f, all[i].index);
    return r;
}

int save_fetch(struct parcel *p)
{
    CLEANUP(list_free) struct list list = {0};
    uint64_t next_file_id;
    int r = list_all(p, &list, &next_file_id);
    for (size_t i = 0; r == 0 && i < list.count; i++)
        r = list.files[i]->is_folder ? 0 : fetch_nodes(list.files[i]);
    return r;
}
