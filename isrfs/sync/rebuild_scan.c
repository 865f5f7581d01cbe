/* SPDX-License-Identifier: GPL-3.0-or-later */
/* No key is kept of what was found: a record is opened again when its version is wanted. Numbers
 * are sorted, and of two records with one number (a check-in that was cut off before it was
 * published, and the one that was) the later one goes first. */
#include "isrfs/sync/rebuild_scan.h"

#include <inttypes.h>
#include <string.h>

#include "isrfs/base/secret.h"
#include "isrfs/parcel/catalog.h"

#define RECORDS_MAX 100000u
#define PARCELS_MAX 10000u

struct scan {
    struct store *home;
    const uint8_t *recovery;
    struct rebuild_list *list;
};

/* Room for one more; SIZE bytes each. */
static int grow(void **array, size_t count, size_t limit, size_t size)
{
    if (count == limit)
        return -EFBIG;
    if (count & (count - 1)) /* it grows at powers of two */
        return 0;
    void *grown = reallocarray(*array, count ? 2 * count : 1, size);
    if (!grown)
        return -ENOMEM;
    *array = grown;
    return 0;
}

static void name_of(const struct rebuild_version *v, char out[96])
{
    char hex[OBJECT_ID_HEX + 1];
    object_id_to_hex(&v->catalog, hex);
    snprintf(out, 96, "%" PRIu64 "-%s", v->number, hex);
}

int rebuild_reopen(struct store *home, const struct rebuild_found *p,
                   const struct rebuild_version *v, const uint8_t *recovery, struct version *ret)
{
    char name[96];
    name_of(v, name);
    int r = version_get(home, p->uuid, name, ret);
    return r < 0 ? r : version_open(home, ret, recovery);
}

static int add_version(void *ctx, const char *name)
{
    struct rebuild_found *p = ctx;
    struct rebuild_version v = {0};
    if (!version_name_parse(name, &v.number, &v.catalog))
        return 0; /* nothing that a site has written */
    void *array = p->versions;
    int r = grow(&array, p->count, RECORDS_MAX, sizeof v);
    p->versions = array;
    if (r == 0)
        p->versions[p->count++] = v;
    return r;
}

static int add_parcel(void *ctx, const char *name)
{
    struct scan *s = ctx;
    struct rebuild_found p = {.count = 0};
    if (strlen(name) != sizeof p.uuid - 1 || strspn(name, "0123456789abcdef") != sizeof p.uuid - 1)
        return 0;
    memcpy(p.uuid, name, sizeof p.uuid);
    void *array = s->list->parcels;
    int r = grow(&array, s->list->count, PARCELS_MAX, sizeof p);
    s->list->parcels = array;
    if (r == 0)
        s->list->parcels[s->list->count++] = p;
    return r;
}

static int later_first(const void *a, const void *b)
{
    const struct rebuild_version *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? 1 : -1;
    return (x->time < y->time) - (x->time > y->time);
}

/* Only what has to do with this one record is its error. */
static bool is_its_own(int r)
{
    return r == -ENOENT || r == -EBADMSG || r == -ENOKEY;
}

static int look(struct scan *s, struct rebuild_found *p, struct rebuild_version *v)
{
    struct version record;
    CLEANUP_CATALOG struct catalog *catalog = NULL;
    v->error = rebuild_reopen(s->home, p, v, s->recovery, &record);
    v->time = record.time;
    v->opened = v->error == 0;
    if (v->opened)
        v->error = catalog_load(s->home, s->home->codec, &record.catalog, &catalog);
    if (v->opened && !*p->parcel)
        memcpy(p->parcel, record.parcel, sizeof p->parcel);
    p->opened += v->opened;
    p->good += v->error == 0;
    secret_wipe(&record, sizeof record);
    return v->error == 0 || is_its_own(v->error) ? 0 : v->error;
}

static int look_at_all(struct scan *s, struct rebuild_found *p)
{
    int r = 0;
    if (p->count == 0)
        return 0;
    qsort(p->versions, p->count, sizeof *p->versions, later_first);
    for (size_t i = 0; r == 0 && i < p->count; i++)
        r = look(s, p, &p->versions[i]);
    qsort(p->versions, p->count, sizeof *p->versions, later_first); /* by time too */
    return r;
}

int rebuild_scan(struct store *home, const uint8_t *recovery, struct rebuild_list *ret)
{
    struct scan s = {.home = home, .recovery = recovery, .list = ret};
    *ret = (struct rebuild_list){0};
    int r = store_each_record(home, "versions", add_parcel, &s);
    for (size_t i = 0; r == 0 && i < ret->count; i++) {
        char folder[64];
        snprintf(folder, sizeof folder, "versions/%s", ret->parcels[i].uuid);
        r = store_each_record(home, folder, add_version, &ret->parcels[i]);
        r = r < 0 ? r : look_at_all(&s, &ret->parcels[i]);
    }
    return r;
}

void rebuild_list_free(struct rebuild_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->parcels[i].versions);
    free(list->parcels);
    *list = (struct rebuild_list){0};
}
