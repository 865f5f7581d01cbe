/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON of the catalog, by jansson. Written file by file, so that the whole never stands in memory
 * as objects; read whole, after a look at how many values it can have: each costs jansson far more
 * memory than text. What jansson says about an error is not passed on, for it may quote a key. */
#include "isrfs/parcel/catalog_json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/keyring/keyring.h"

#define KEY_HEX    (2 * sizeof(struct object_key))
#define VALUES_MAX (16u * CATALOG_FILES_MAX) /* a file has 14 at most */

int catalog_json_refuse(struct catalog_why *why, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    return -EBADMSG;
}

static void json_free(json_t **value)
{
    json_decref(*value);
}
#define CLEANUP_JSON CLEANUP(json_free)

/* ---- writing ---- */

static int append(const char *text, size_t size, void *buffer)
{
    return buffer_append(buffer, text, size);
}

static json_t *file_to_json(const struct catalog_entry *e)
{
    json_t *o = json_pack("{s:I, s:s, s:s, s:i, s:[I, I]}", "id", (json_int_t)e->file_id, "path",
                          e->path, "type", e->is_folder ? "folder" : "file", "mode", (int)e->mode,
                          "mtime", (json_int_t)e->mtime.tv_sec, (json_int_t)e->mtime.tv_nsec);
    if (o && !e->is_folder) {
        struct object_key key = {{0}};
        char hex[KEY_HEX + 1];

        if (!object_id_is_hole(&e->root.id))
            key = e->root.key;
        hex_encode(hex, &key, sizeof key);
        CLEANUP_JSON json_t *rest =
            json_pack("{s:I, s:I, s:i, s:s}", "size", (json_int_t)e->size, "chunk",
                      (json_int_t)e->chunk_size, "height", (int)e->height, "key", hex);
        secret_wipe(&key, sizeof key);
        secret_wipe(hex, sizeof hex);
        if (!rest || json_object_update(o, rest) < 0) {
            json_decref(o);
            return NULL;
        }
    }
    if (o && e->is_volatile && json_object_set_new(o, "volatile", json_true()) < 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

int catalog_json_write(const struct catalog *c, struct buffer *out)
{
    int r = buffer_printf(out, "{\"next_id\":%" PRIu64 ",\"files\":[", c->next_file_id);
    for (size_t i = 0; r == 0 && i < c->count; i++) {
        CLEANUP_JSON json_t *o = file_to_json(&c->entries[i]);
        if (!o)
            return -ENOMEM;
        if (i > 0)
            r = buffer_append_text(out, ",");
        if (r == 0 && json_dump_callback(o, append, out, JSON_COMPACT) < 0)
            return -ENOMEM;
        if (out->size > CATALOG_JSON_MAX - 2)
            return -EFBIG;
    }
    return r < 0 ? r : buffer_append_text(out, "]}");
}

/* ---- reading ---- */

/* What is being read, and where in it, for messages. */
struct source {
    struct catalog_why *why;
    size_t file; /* number of the file, from 1; 0: the head */
};

static int refuse_field(const struct source *s, const char *field, const char *what)
{
    char clean[48];
    log_clean(clean, sizeof clean, field);
    return s->file ? catalog_json_refuse(s->why, "file %zu: field '%s' %s", s->file, clean, what)
                   : catalog_json_refuse(s->why, "field '%s' %s", clean, what);
}

/* Only the fields named in FIELDS, which ends with NULL, may be there. */
static int check_fields(const struct source *s, json_t *o, const char *const *fields)
{
    const char *name;
    json_t *value;

    json_object_foreach(o, name, value)
    {
        size_t i = 0;
        while (fields[i] && strcmp(fields[i], name) != 0)
            i++;
        if (!fields[i])
            return refuse_field(s, name, "is unknown here");
    }
    return 0;
}

static int get_integer(const struct source *s, json_t *o, const char *field, int64_t max,
                       int64_t *ret)
{
    json_t *value = json_object_get(o, field);
    if (!value)
        return refuse_field(s, field, "is missing");
    if (!json_is_integer(value))
        return refuse_field(s, field, "is not a whole number");
    *ret = json_integer_value(value);
    if (*ret < 0 || *ret > max)
        return refuse_field(s, field, "is out of range");
    return 0;
}

static int get_text(const struct source *s, json_t *o, const char *field, const char **ret)
{
    json_t *value = json_object_get(o, field);
    if (!value)
        return refuse_field(s, field, "is missing");
    *ret = json_string_value(value);
    return *ret ? 0 : refuse_field(s, field, "is not text");
}

static int get_mtime(const struct source *s, json_t *o, struct timespec *ret)
{
    json_t *value = json_object_get(o, "mtime");
    json_t *sec = json_array_get(value, 0);
    json_t *nsec = json_array_get(value, 1);

    if (json_array_size(value) != 2 || !json_is_integer(sec) || !json_is_integer(nsec))
        return refuse_field(s, "mtime", "is not a pair of whole numbers");
    ret->tv_sec = json_integer_value(sec);
    json_int_t ns = json_integer_value(nsec);
    if (ns < 0 || ns > 999999999)
        return refuse_field(s, "mtime", "is out of range");
    ret->tv_nsec = (long)ns;
    return 0;
}

/* What files and folders have. */
static int read_common(const struct source *s, json_t *o, struct catalog_entry *e)
{
    static const char *const file_fields[] = {
        "id", "path", "type", "mode", "mtime", "size", "chunk", "height", "key", "volatile", NULL};
    static const char *const folder_fields[] = {"id",    "path",     "type", "mode",
                                                "mtime", "volatile", NULL};
    const char *type;
    const json_t *is_volatile = json_object_get(o, "volatile");
    int64_t id, mode;

    int r = get_text(s, o, "type", &type);
    if (r < 0)
        return r;
    e->is_folder = strcmp(type, "folder") == 0;
    if (!e->is_folder && strcmp(type, "file") != 0)
        return refuse_field(s, "type", "is unknown");
    r = check_fields(s, o, e->is_folder ? folder_fields : file_fields);
    if (r == 0)
        r = get_integer(s, o, "id", INT64_MAX, &id);
    if (r == 0)
        r = get_integer(s, o, "mode", 0777, &mode);
    if (r == 0)
        r = get_mtime(s, o, &e->mtime);
    if (r < 0)
        return r;
    if (is_volatile && !json_is_boolean(is_volatile))
        return refuse_field(s, "volatile", "is not true or false");
    e->file_id = (uint64_t)id;
    e->mode = (unsigned)mode;
    e->is_volatile = json_is_true(is_volatile);
    return 0;
}

/* What only regular files have. */
static int read_regular(const struct source *s, json_t *o, struct catalog_entry *e)
{
    const char *key = NULL;
    int64_t size, chunk, height;

    int r = get_integer(s, o, "size", INT64_MAX, &size);
    if (r == 0)
        r = get_integer(s, o, "chunk", CHUNK_SIZE_MAX, &chunk);
    if (r == 0)
        r = get_integer(s, o, "height", KEYRING_HEIGHT_MAX, &height);
    if (r == 0)
        r = get_text(s, o, "key", &key);
    if (r < 0)
        return r;
    if (hex_decode(&e->root.key, sizeof e->root.key, key) < 0)
        return refuse_field(s, "key", "is not 64 hexadecimal digits");
    e->size = (uint64_t)size;
    e->chunk_size = (uint32_t)chunk;
    e->height = (unsigned)height;
    return 0;
}

static int read_file(const struct source *s, json_t *o, struct catalog *c)
{
    struct catalog_entry e = {0};
    const char *path;

    if (!json_is_object(o))
        return catalog_json_refuse(s->why, "file %zu is not an object", s->file);
    int r = read_common(s, o, &e);
    if (r == 0)
        r = get_text(s, o, "path", &path);
    if (r == 0 && !e.is_folder)
        r = read_regular(s, o, &e);
    if (r == 0) {
        e.path = (char *)path; /* copied, not changed */
        r = catalog_add(c, &e);
    }
    secret_wipe(&e.root, sizeof e.root);
    return r;
}

/* An upper bound of the values in the text: what can begin one, outside strings. */
static size_t count_values(const char *text, size_t size)
{
    size_t count = 1;
    bool in_string = false;

    for (size_t i = 0; i < size; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && (text[i] == ',' || text[i] == '[' || text[i] == '{'))
            count++;
    }
    return count;
}

int catalog_json_read(const void *text, size_t size, struct catalog *c, struct catalog_why *why)
{
    static const char *const fields[] = {"next_id", "files", NULL};
    struct source s = {.why = why};
    int64_t next_id;

    if (size > CATALOG_JSON_MAX || count_values(text, size) > VALUES_MAX)
        return catalog_json_refuse(why, "it is too large");
    CLEANUP_JSON json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    if (!root)
        return catalog_json_refuse(why, "it is not valid JSON");
    if (!json_is_object(root))
        return catalog_json_refuse(why, "it is not a JSON object");
    int r = check_fields(&s, root, fields);
    if (r == 0)
        r = get_integer(&s, root, "next_id", INT64_MAX, &next_id);
    if (r < 0)
        return r;
    const json_t *files = json_object_get(root, "files");
    if (!json_is_array(files))
        return refuse_field(&s, "files", "is missing or not a list");
    if (json_array_size(files) > CATALOG_FILES_MAX)
        return catalog_json_refuse(why, "it has more than %u files", CATALOG_FILES_MAX);
    for (size_t i = 0; i < json_array_size(files); i++) {
        s.file = i + 1;
        r = read_file(&s, json_array_get(files, i), c);
        if (r < 0)
            return r;
    }
    c->next_file_id = (uint64_t)next_id;
    return 0;
}
