/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of files. What it may hold stands in one place, check(), which both encode and decode
 * ask: so nothing is written that could not be read again, and nothing is taken that would not be
 * written.
 *
 * Paths are found through a balanced tree (tsearch) and not a hash table: whoever may write a
 * catalog could choose names that all fall into one bucket. */
#include "isrfs/parcel/catalog.h"

#include <inttypes.h>
#include <jansson.h>
#include <malloc.h>
#include <search.h>

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/keyring/keyring.h"
#include "isrfs/keyring/walk.h"
#include "isrfs/parcel/catalog_json.h"

#define FILE_ID_END ((uint64_t)1 << 53) /* JSON numbers are whole below it, whoever reads them */

/* A node of by_path. PATH belongs to the entry. */
struct path {
    const char *path;
    size_t at; /* the first entry with it */
};

/* ---- the table ---- */

static int path_compare(const void *a, const void *b)
{
    return strcmp(((const struct path *)a)->path, ((const struct path *)b)->path);
}

struct catalog *catalog_new(void)
{
    struct catalog *c = calloc(1, sizeof *c);
    if (c)
        c->next_file_id = CATALOG_ROOT + 1;
    return c;
}

void catalog_free(struct catalog *c)
{
    if (!c)
        return;
    tdestroy(c->by_path, free);
    for (size_t i = 0; i < c->count; i++) {
        secret_wipe(c->entries[i].path, strlen(c->entries[i].path));
        free(c->entries[i].path);
    }
    if (c->entries)
        secret_wipe(c->entries, c->room * sizeof *c->entries);
    free(c->entries);
    free(c);
}

/* By hand, for realloc would leave keys behind. */
static int grow(struct catalog *c)
{
    size_t room = c->room ? 2 * c->room : 16;
    struct catalog_entry *entries = calloc(room, sizeof *entries);
    if (!entries)
        return -ENOMEM;
    if (c->entries) {
        memcpy(entries, c->entries, c->count * sizeof *entries);
        secret_wipe(c->entries, c->room * sizeof *entries);
        free(c->entries);
    }
    c->entries = entries;
    c->room = room;
    return 0;
}

int catalog_add(struct catalog *c, const struct catalog_entry *entry)
{
    if (c->count == c->room && grow(c) < 0)
        return -ENOMEM;
    CLEANUP_FREE char *path = strdup(entry->path);
    CLEANUP_FREE struct path *node = malloc(sizeof *node);
    if (!path || !node)
        return -ENOMEM;
    *node = (struct path){.path = path, .at = c->count};
    struct path *const *found = tsearch(node, &c->by_path, path_compare);
    if (!found)
        return -ENOMEM;
    if (*found == node) /* else there is one with this path already */
        (void)steal_ptr(node);
    c->entries[c->count] = *entry;
    c->entries[c->count].path = steal_ptr(path);
    c->count++;
    return 0;
}

const struct catalog_entry *catalog_find(const struct catalog *c, const char *path)
{
    const struct path probe = {.path = path};
    struct path *const *found = tfind(&probe, &c->by_path, path_compare);
    return found ? &c->entries[(*found)->at] : NULL;
}

/* ---- the rules ---- */

/* Bytes of the well-formed UTF-8 character at S (Unicode, table 3-7), or 0. Ends at a NUL by
 * itself. */
static size_t utf8_size(const unsigned char *s)
{
    unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte */
    size_t size;

    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    size = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    }
    return size;
}

/* Likewise for the part of a path that is SIZE bytes long. */
static bool part_valid(const char *part, size_t size)
{
    if (size == 0 || size > CATALOG_NAME_MAX)
        return false;
    if (part[0] == '.' && (size == 1 || (size == 2 && part[1] == '.')))
        return false;
    for (size_t i = 0, step; i < size; i += step) {
        step = utf8_size((const unsigned char *)part + i);
        if (step == 0 || part[i] == '/')
            return false;
    }
    return true;
}

bool catalog_name_is_volatile(const char *name)
{
    static const char ending[] = ".vmem";
    size_t length = strlen(name), end = sizeof ending - 1;
    return strcmp(name, "mem.img") == 0 ||
           (length > end && strcmp(name + length - end, ending) == 0);
}

bool catalog_name_valid(const char *name)
{
    return part_valid(name, strnlen(name, CATALOG_NAME_MAX + 1));
}

static int check_path(const struct catalog *c, size_t at, struct catalog_why *why)
{
    const char *path = c->entries[at].path;
    const char *slash = strrchr(path, '/');
    char parent[CATALOG_PATH_MAX + 1];

    if (strnlen(path, CATALOG_PATH_MAX + 1) > CATALOG_PATH_MAX)
        return catalog_json_refuse(why, "file %zu: its path is too long", at + 1);
    for (const char *part = path;; part++) {
        size_t size = strcspn(part, "/");
        if (!part_valid(part, size))
            return catalog_json_refuse(why, "file %zu: its path has a bad name in it", at + 1);
        part += size;
        if (!*part)
            break;
    }
    if (strcmp(path, ".isrfs") == 0)
        return catalog_json_refuse(why, "file %zu: the name .isrfs is taken at the root", at + 1);
    if (catalog_find(c, path) != &c->entries[at])
        return catalog_json_refuse(why, "file %zu: another one has its path", at + 1);
    if (!slash)
        return 0;
    memcpy(parent, path, (size_t)(slash - path));
    parent[slash - path] = '\0';
    const struct catalog_entry *folder = catalog_find(c, parent);
    if (!folder || !folder->is_folder || folder > &c->entries[at])
        return catalog_json_refuse(why, "file %zu: no folder before it holds it", at + 1);
    return 0;
}

static int check_entry(const struct catalog *c, size_t at, struct catalog_why *why)
{
    const struct catalog_entry *e = &c->entries[at];

    if (e->file_id <= CATALOG_ROOT || e->file_id >= c->next_file_id)
        return catalog_json_refuse(why, "file %zu: its id is out of range", at + 1);
    if (e->mode > 0777 || e->mtime.tv_nsec < 0 || e->mtime.tv_nsec > 999999999)
        return catalog_json_refuse(why, "file %zu: its mode or time is out of range", at + 1);
    if (!e->is_folder) {
        if (e->size > INT64_MAX)
            return catalog_json_refuse(why, "file %zu: its size is out of range", at + 1);
        if (e->chunk_size < CHUNK_SIZE_MIN || e->chunk_size > CHUNK_SIZE_MAX ||
            (e->chunk_size & (e->chunk_size - 1)) != 0)
            return catalog_json_refuse(why, "file %zu: its chunk size is out of range", at + 1);
        bool hole = object_id_is_hole(&e->root.id);
        if (e->height > KEYRING_HEIGHT_MAX || (e->height == 0 && !hole))
            return catalog_json_refuse(why, "file %zu: its height is out of range", at + 1);
        if (hole && !codec_is_zero(&e->root.key, sizeof e->root.key))
            return catalog_json_refuse(why, "file %zu: a hole has a key", at + 1);
    }
    return check_path(c, at, why);
}

static int id_compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static int check_ids(const struct catalog *c, struct catalog_why *why)
{
    CLEANUP_FREE uint64_t *ids = calloc(c->count + 1, sizeof *ids);
    if (!ids)
        return -ENOMEM;
    for (size_t i = 0; i < c->count; i++)
        ids[i] = c->entries[i].file_id;
    qsort(ids, c->count, sizeof *ids, id_compare);
    for (size_t i = 1; i < c->count; i++) {
        if (ids[i] == ids[i - 1])
            return catalog_json_refuse(why, "two files have the id %" PRIu64, ids[i]);
    }
    return 0;
}

static int check(const struct catalog *c, struct catalog_why *why)
{
    if (c->next_file_id <= CATALOG_ROOT || c->next_file_id > FILE_ID_END)
        return catalog_json_refuse(why, "its next file id is out of range");
    for (size_t i = 0; i < c->count; i++) {
        int r = check_entry(c, i, why);
        if (r < 0)
            return r;
    }
    return check_ids(c, why);
}

/* ---- the object ---- */

static int put_roots(const struct catalog *c, struct buffer *out)
{
    uint32_t count = 0;
    int r = buffer_put_u32(out, 0);

    for (size_t i = 0; r == 0 && i < c->count; i++) {
        if (c->entries[i].is_folder)
            continue;
        r = buffer_append(out, &c->entries[i].root.id, sizeof c->entries[i].root.id);
        count++;
    }
    if (r == 0)
        put_u32(out->data, count);
    return r;
}

int catalog_encode(struct codec *codec, const struct object_secret *secret, const struct catalog *c,
                   struct buffer *out, struct object_ref *ret)
{
    CLEANUP_BUFFER struct buffer roots = {0};
    CLEANUP_SECRET_BUFFER struct buffer json = {0};
    CLEANUP_SECRET_BUFFER struct buffer packed = {0};
    struct catalog_why why;

    if (c->count > CATALOG_FILES_MAX)
        return -EFBIG;
    int r = check(c, &why);
    if (r == -EBADMSG) {
        log_error("the catalog cannot be written: %s", why.text);
        return -EINVAL;
    }
    if (r == 0)
        r = put_roots(c, &roots);
    if (r == 0)
        r = catalog_json_write(c, &json);
    if (r == 0)
        r = codec_pack(codec, json.data, json.size, &packed);
    if (r < 0)
        return r;
    return codec_seal(codec, secret, OBJECT_CATALOG, roots.data, roots.size, packed.data,
                      packed.size, out, ret);
}

/* The ids of the roots, which stand in the clear in the order of the regular files. */
static int take_roots(struct catalog *c, const void *object, size_t count, struct catalog_why *why)
{
    size_t used = 0;

    for (size_t i = 0; i < c->count; i++) {
        if (c->entries[i].is_folder)
            continue;
        if (used == count)
            return catalog_json_refuse(why, "it has more files than roots");
        c->entries[i].root.id = walk_catalog_root(object, used++);
    }
    return used == count ? 0 : catalog_json_refuse(why, "it has more roots than files");
}

/* Is it a catalog with that id? codec_check tells what is wrong with its head, but not a wrong id.
 */
static int check_object(struct codec *codec, const struct object_id *id, const void *object,
                        size_t size, struct catalog_why *why)
{
    struct object_id found;

    int r = codec_check(codec, OBJECT_CATALOG, id, object, size);
    if (r == -EBADMSG && codec_digest(codec, object, size, &found) == 0 &&
        !object_id_equal(id, &found))
        return catalog_json_refuse(why, "its bytes are not what its name says");
    return r;
}

static int decode(struct codec *codec, const struct object_ref *ref, const void *object,
                  size_t size, struct catalog *c, struct catalog_why *why)
{
    CLEANUP_SECRET_BUFFER struct buffer json = {0};
    size_t count;

    int r = check_object(codec, &ref->id, object, size, why);
    if (r < 0)
        return r;
    if (walk_catalog_count(object, size, &count) < 0 || count > CATALOG_FILES_MAX)
        return catalog_json_refuse(why, "its count is out of range");
    r = codec_decode_packed(codec, ref, OBJECT_CATALOG, object, size,
                            4 + count * sizeof(struct object_id), CATALOG_JSON_MAX, &json);
    if (r == -EBADMSG)
        return catalog_json_refuse(why, "its key does not open it, or it cannot be unpacked");
    if (r == 0)
        r = catalog_json_read(json.data, json.size, c, why);
    if (r == 0)
        r = take_roots(c, object, count, why);
    return r < 0 ? r : check(c, why);
}

int catalog_decode(struct codec *codec, const struct object_ref *ref, const void *object,
                   size_t size, struct catalog **ret)
{
    CLEANUP_CATALOG struct catalog *c = catalog_new();
    struct catalog_why why = {""};
    char hex[OBJECT_ID_HEX + 1];

    if (!c)
        return -ENOMEM;
    int r = decode(codec, ref, object, size, c, &why);
    if (r == -EBADMSG && why.text[0]) {
        object_id_to_hex(&ref->id, hex);
        log_error("catalog %s is refused: %s", hex, why.text);
    }
    if (r < 0)
        return r;
    *ret = steal_ptr(c);
    return 0;
}

/* ---- jansson's memory: wiped on release ---- */

/* The memory itself is malloc's, so that what json_dumps gives may be released with free(). */
static void wiped_free(void *memory)
{
    if (memory)
        secret_wipe(memory, malloc_usable_size(memory));
    free(memory);
}

void catalog_init_json(void)
{
    json_set_alloc_funcs(malloc, wiped_free);
}

int catalog_load(struct store *store, struct codec *codec, const struct object_ref *ref,
                 struct catalog **ret)
{
    CLEANUP_BUFFER struct buffer object = {0};
    int r = store_get(store, &ref->id, &object);
    return r < 0 ? r : catalog_decode(codec, ref, object.data, object.size, ret);
}
