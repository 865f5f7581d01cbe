/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Committed changes are the chunks in which the newest root's trees differ from the base's; those
 * in the journal are what opening the parcel replays. */
#include "isrfs/sync/changes.h"

#include <string.h>

#include "isrfs/keyring/walk.h"

void changes_free(struct changes *changes)
{
    for (size_t i = 0; i < changes->count; i++)
        free(changes->files[i].path);
    free(changes->files);
}

static struct changed_file *file_of(struct changes *changes, const char *path, uint64_t file_id)
{
    for (size_t i = 0; i < changes->count; i++)
        if (changes->files[i].file_id == file_id)
            return &changes->files[i];
    struct changed_file *files = reallocarray(changes->files, changes->count + 1, sizeof *files);
    if (!files)
        return NULL;
    changes->files = files;
    struct changed_file *f = &files[changes->count];
    *f = (struct changed_file){.file_id = file_id, .path = strdup(path)};
    if (!f->path)
        return NULL;
    changes->count++;
    return f;
}

static int add(void *ctx, const char *path, uint64_t file_id, uint64_t bytes)
{
    struct changes *changes = ctx;
    struct changed_file *f = file_of(changes, path, file_id);
    if (!f)
        return -ENOMEM;
    f->bytes += bytes;
    changes->bytes += bytes;
    return 0;
}

static int count_chunk(void *ctx, enum object_kind kind, const struct object_id *id, uint64_t index,
                       const void *object, size_t size)
{
    (void)id, (void)index, (void)object, (void)size;
    uint64_t *chunks = ctx;
    *chunks += kind == OBJECT_CHUNK;
    return 0;
}

static int pass_over(void *ctx, const struct object_id *id, uint64_t index, int error)
{
    (void)ctx, (void)id, (void)index, (void)error;
    return 0;
}

static const struct catalog_entry *find_id(const struct catalog *catalog, uint64_t file_id)
{
    for (size_t i = 0; i < catalog->count; i++)
        if (catalog->entries[i].file_id == file_id)
            return &catalog->entries[i];
    return NULL;
}

static int compare(struct checkout *c, const struct catalog_entry *e,
                   const struct catalog_entry *before, struct changes *ret)
{
    uint64_t chunks = 0;
    struct walk_visitor visitor = {.object = count_chunk, .bad = pass_over, .ctx = &chunks};
    bool comparable = before && !before->is_folder;
    int r = object_id_is_hole(&e->root.id)
                ? 0
                : walk_tree(c->stack, c->codec, &e->root.id, comparable ? &before->root.id : NULL,
                            &visitor);
    if (r < 0 || (chunks == 0 && before && before->size == e->size))
        return r;
    return add(ret, e->path, e->file_id, chunks * e->chunk_size);
}

static int list_committed(struct checkout *c, struct changes *ret)
{
    CLEANUP_CATALOG struct catalog *now = NULL, *base = NULL;
    if (object_id_equal(&c->root.current.id, &c->root.base.id))
        return 0;
    int r = catalog_load(c->stack, c->codec, &c->root.current, &now);
    r = r < 0 ? r : catalog_load(c->stack, c->codec, &c->root.base, &base);
    for (size_t i = 0; r == 0 && i < now->count; i++)
        if (!now->entries[i].is_folder)
            r = compare(c, &now->entries[i], find_id(base, now->entries[i].file_id), ret);
    for (size_t i = 0; r == 0 && i < base->count; i++) {
        const struct catalog_entry *e = &base->entries[i];
        if (e->is_folder || find_id(now, e->file_id))
            continue;
        struct changed_file *f = file_of(ret, e->path, e->file_id);
        if (!f)
            return -ENOMEM;
        f->removed = true;
    }
    return r;
}

static int by_size(const void *a, const void *b)
{
    const struct changed_file *x = a, *y = b;
    return x->bytes > y->bytes ? -1 : x->bytes < y->bytes;
}

int changes_list(struct checkout *c, struct changes *ret, struct failure *failure)
{
    *ret = (struct changes){0};
    if (!c->log)
        return failure_set(failure, OUTCOME_DAMAGED, "%s: its site log cannot be read",
                           c->source.parcel);
    struct parcel *p = NULL;
    bool salvage = c->salvage;
    c->salvage = true;
    int r = c->found.batches ? checkout_parcel(c, 0, &p, failure) : 0;
    c->salvage = salvage;
    if (r < 0)
        return r;
    r = p ? parcel_each_change(p, add, ret) : 0;
    parcel_close(p);
    r = r < 0 ? r : list_committed(c, ret);
    if (r < 0)
        return failure_set(failure, outcome_of(r), "%s: what was changed cannot be found out: %s",
                           c->source.parcel, strerror(-r));
    if (ret->count)
        qsort(ret->files, ret->count, sizeof *ret->files, by_size);
    return 0;
}
