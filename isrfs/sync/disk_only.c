/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "isrfs/sync/disk_only.h"

#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"

static const char *first_volatile(const struct catalog *catalog)
{
    for (size_t i = 0; i < catalog->count; i++)
        if (catalog->entries[i].is_volatile && !catalog->entries[i].is_folder)
            return catalog->entries[i].path;
    return NULL;
}

/* The files keep their trees: only the table is another. */
static int put_without(struct checkout *c, const struct catalog *all, struct object_ref *ret)
{
    CLEANUP_CATALOG struct catalog *catalog = catalog_new();
    CLEANUP_BUFFER struct buffer object = {0};
    int r = catalog ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < all->count; i++)
        if (all->entries[i].is_folder || !all->entries[i].is_volatile)
            r = catalog_add(catalog, &all->entries[i]);
    if (r < 0)
        return r;
    catalog->next_file_id = all->next_file_id;
    r = catalog_encode(c->codec, c->secret, catalog, &object, ret);
    return r < 0 ? r : store_put(site_log_store(c->log), &ret->id, object.data, object.size);
}

int disk_only(struct checkout *c, struct object_ref *ret, struct failure *failure)
{
    *ret = c->root.current;
    if (c->root.consistent || object_id_equal(&c->root.current.id, &c->root.base.id))
        return 0;
    CLEANUP_CATALOG struct catalog *catalog = NULL;
    int r = catalog_load(c->stack, c->codec, &c->root.current, &catalog);
    const char *name = r == 0 ? first_volatile(catalog) : NULL;
    if (r == 0 && !name)
        return 0;
    if (r == 0 && !c->disk_only) {
        char clean[128];
        return failure_set(failure, OUTCOME_FAILED,
                           "%s: its memory (%s) is not of the same moment as its disk: suspend the "
                           "machine first, or publish the disk alone with --disk-only",
                           c->source.parcel, log_clean(clean, sizeof clean, name));
    }
    r = r < 0 ? r : put_without(c, catalog, ret);
    if (r < 0)
        return failure_set(failure, outcome_of(r), "%s: its files cannot be listed: %s",
                           c->source.parcel, strerror(-r));
    return 0;
}
