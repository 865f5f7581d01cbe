/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two passes. The first reads back every object in the site log; what is bad there is remembered.
 * The second walks the newest state's catalog and trees and says which file and chunk an object
 * belongs to: with `all` it reads every object that is reached, without it only runs to give names
 * to what the first pass found.
 *
 * Chunks are collected and read side by side, since most of the time goes into waiting for a store.
 * Nodes are read by the walk itself. An object's id is the hash of its bytes, so store_get's check
 * is the whole check. */
#include "isrfs/sync/verify.h"

#include <inttypes.h>
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/keyring/walk.h"

#define BATCH 128u

struct item {
    struct object_id id;
    uint64_t index; /* chunk */
    int result;
    size_t size;
};

struct bad {
    struct object_id id;
    bool named;
};

struct check {
    struct checkout *checkout;
    bool all;
    const struct progress *progress;
    struct verify_result *result;
    const char *file; /* that is walked, for messages */
    struct item items[BATCH];
    size_t used;
    struct bad *bad; /* in the site log */
    size_t bad_count;
};

static bool is_bad(int r)
{
    return r == -ENOENT || r == -EBADMSG;
}

static void report(const struct check *k)
{
    if (k->progress && k->result->objects % BATCH == 0)
        k->progress->report(k->progress->ctx, "verifying", k->result->bytes, 0);
}

static void count_good(struct check *k, size_t size)
{
    k->result->objects++;
    k->result->bytes += size;
    report(k);
}

static void count_bad(struct check *k, int r)
{
    if (r == -ENOENT)
        k->result->missing++;
    else
        k->result->damaged++;
}

static void say_bad(const struct object_id *id, const char *file, const char *what,
                    const uint64_t *index, int r)
{
    char hex[OBJECT_ID_HEX + 1], name[256], number[32] = "";
    object_id_to_hex(id, hex);
    if (index)
        snprintf(number, sizeof number, " %" PRIu64, *index);
    log_error("%s: %s%s: object %s is %s", log_clean(name, sizeof name, file), what, number, hex,
              r == -ENOENT ? "missing" : "damaged");
}

/* --- the site log --- */

static int remember(struct check *k, const struct object_id *id)
{
    struct bad *grown = reallocarray(k->bad, k->bad_count + 1, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    k->bad = grown;
    k->bad[k->bad_count++] = (struct bad){.id = *id};
    return 0;
}

static int check_logged(void *ctx, const struct object_id *id)
{
    struct check *k = ctx;
    CLEANUP_BUFFER struct buffer object = {0};
    int r = store_get(site_log_store(k->checkout->log), id, &object);
    if (r == 0)
        count_good(k, object.size);
    if (!is_bad(r))
        return r;
    count_bad(k, r);
    return remember(k, id);
}

static bool name_logged(struct check *k, const struct object_id *id, const char *what,
                        const uint64_t *index)
{
    bool found = false;
    for (size_t i = 0; i < k->bad_count; i++)
        if (object_id_equal(&k->bad[i].id, id)) {
            found = true;
            if (!k->bad[i].named)
                say_bad(id, k->file, what, index, -EBADMSG);
            k->bad[i].named = true;
        }
    return found;
}

/* --- the newest state --- */

static int read_item(void *ctx, size_t i)
{
    struct check *k = ctx;
    struct item *item = &k->items[i];
    CLEANUP_BUFFER struct buffer object = {0};
    item->result = store_get(k->checkout->stack, &item->id, &object);
    item->size = object.size;
    return item->result < 0 && !is_bad(item->result) ? item->result : 0;
}

static int flush_items(struct check *k)
{
    int r = pool_each(k->checkout->pool, k->used, read_item, k);
    for (size_t i = 0; r == 0 && i < k->used; i++) {
        const struct item *item = &k->items[i];
        if (item->result == 0) {
            count_good(k, item->size);
            continue;
        }
        count_bad(k, item->result);
        say_bad(&item->id, k->file, "chunk", &item->index, item->result);
    }
    k->used = 0;
    return r;
}

static int reached(void *ctx, enum object_kind kind, const struct object_id *id, uint64_t index,
                   const void *object, size_t size)
{
    struct check *k = ctx;
    bool is_node = kind == OBJECT_NODE;
    if (name_logged(k, id, is_node ? "keyring above chunk" : "chunk", &index) || !k->all)
        return 0;
    if (object) {
        count_good(k, size);
        return 0;
    }
    k->items[k->used++] = (struct item){.id = *id, .index = index};
    return k->used == BATCH ? flush_items(k) : 0;
}

static int unreadable(void *ctx, const struct object_id *id, uint64_t index, int error)
{
    struct check *k = ctx;
    if (!is_bad(error))
        return k->all ? error : 0;
    if (name_logged(k, id, "keyring above chunk", &index) || !k->all)
        return 0;
    count_bad(k, error);
    say_bad(id, k->file, "keyring above chunk", &index, error);
    return 0;
}

static int walk_files(struct check *k, const struct catalog *catalog)
{
    struct checkout *c = k->checkout;
    struct walk_visitor visitor = {.object = reached, .bad = unreadable, .ctx = k};
    int r = 0;
    for (size_t i = 0; r == 0 && i < catalog->count; i++) {
        const struct catalog_entry *e = &catalog->entries[i];
        if (e->is_folder || object_id_is_hole(&e->root.id))
            continue;
        k->file = e->path;
        r = walk_tree(c->stack, c->codec, &e->root.id, NULL, &visitor);
        r = r < 0 ? r : flush_items(k);
    }
    return r;
}

static int walk_state(struct check *k)
{
    struct checkout *c = k->checkout;
    const struct object_ref *ref = &c->root.current;
    CLEANUP_BUFFER struct buffer object = {0};
    CLEANUP_CATALOG struct catalog *catalog = NULL;
    int r = store_get(c->stack, &ref->id, &object);
    k->file = c->source.parcel;
    if (is_bad(r) && !name_logged(k, &ref->id, "catalog", NULL)) {
        count_bad(k, r);
        say_bad(&ref->id, k->file, "catalog", NULL, r);
    }
    if (r < 0)
        return is_bad(r) ? 0 : r;
    r = catalog_decode(c->codec, ref, object.data, object.size, &catalog);
    if (r == -EBADMSG)
        k->result->damaged++; /* logged there */
    if (r < 0)
        return r == -EBADMSG ? 0 : r;
    if (k->all)
        count_good(k, object.size);
    return walk_files(k, catalog);
}

static void say_unnamed(const struct check *k)
{
    for (size_t i = 0; i < k->bad_count; i++)
        if (!k->bad[i].named)
            say_bad(&k->bad[i].id, k->checkout->source.parcel, "site log, not in the newest state",
                    NULL, -EBADMSG);
}

int verify(struct checkout *c, bool all, const struct progress *progress, struct verify_result *ret,
           struct failure *failure)
{
    *ret = (struct verify_result){0};
    CLEANUP_FREE struct check *k = calloc(1, sizeof *k);
    if (!k)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    *k = (struct check){.checkout = c, .all = all, .progress = progress, .result = ret};
    int r = c->log ? site_log_each_object(c->log, check_logged, k) : 0;
    if (r == 0 && (all || k->bad_count > 0))
        r = walk_state(k);
    say_unnamed(k);
    free(k->bad);
    if (r < 0)
        failure_set(failure, outcome_of(r), "%s: cannot be verified: %s", c->source.parcel,
                    strerror(-r));
    return r;
}
