/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The chokepoint of all stores: what every implementation promises is checked here, once. In
 * particular no object leaves store_get whose bytes are not what its id names, whatever store it
 * came from, so that no caller and no implementation has to think of it. */
#include "isrfs/store/store.h"

#include <errno.h>
#include <string.h>

#include "isrfs/base/log.h"

static bool object_size_valid(size_t size)
{
    return size > 0 && size <= OBJECT_SIZE_MAX;
}

/* What `get` gave: 0 if it is what ID names. */
static int check(struct store *s, const struct object_id *id, const struct buffer *object)
{
    int r = object_size_valid(object->size) ? 0 : -EBADMSG;
    struct object_id found;
    if (r == 0)
        r = codec_digest(s->codec, object->data, object->size, &found);
    if (r == 0 && !object_id_equal(id, &found))
        r = -EBADMSG;
    if (r != -EBADMSG)
        return r;
    char hex[OBJECT_ID_HEX + 1];
    object_id_to_hex(id, hex);
    log_error("store %s: object %s is damaged: its %zu bytes are not what its name says", s->name,
              hex, object->size);
    return r;
}

int store_get(struct store *s, const struct object_id *id, struct buffer *out)
{
    out->size = 0;
    if (object_id_is_hole(id))
        return -EINVAL;
    if (!s->ops->get)
        return -ENOTSUP;
    int r = s->ops->get(s, id, out);
    if (s->checked)
        return r;
    if (r == 0)
        r = check(s, id, out);
    if (r == -EBADMSG)
        COUNT(s->counters, objects_damaged, 1);
    if (r == 0)
        COUNT(s->counters, store_get_bytes, out->size);
    else
        out->size = 0;
    return r;
}

int store_put(struct store *s, const struct object_id *id, const void *object, size_t size)
{
    if (object_id_is_hole(id) || !object_size_valid(size))
        return -EINVAL;
    if (!s->ops->put)
        return -EROFS;
    int r = s->ops->put(s, id, object, size);
    if (r < 0)
        return r;
    COUNT(s->counters, store_put_objects, 1);
    COUNT(s->counters, store_put_bytes, size);
    return 0;
}

int store_has(struct store *s, const struct object_id *id)
{
    if (object_id_is_hole(id))
        return -EINVAL;
    return s->ops->has ? s->ops->has(s, id) : -ENOTSUP;
}

int store_barrier(struct store *s)
{
    return s->ops->barrier ? s->ops->barrier(s) : -EROFS;
}

void store_put_again(struct store *s)
{
    if (s->ops->put_again)
        s->ops->put_again(s);
}

int store_remove(struct store *s, const struct object_id *id)
{
    if (object_id_is_hole(id))
        return -EINVAL;
    if (!s->ops->remove)
        return -EROFS;
    int r = s->ops->remove(s, id);
    return r == -ENOENT ? 0 : r;
}

bool store_record_part_valid(const char *part, size_t length)
{
    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!((part[i] >= 'a' && part[i] <= 'z') || (part[i] >= '0' && part[i] <= '9') ||
              part[i] == '-'))
            return false;
    return true;
}

/* "versions" or "holds" and then exactly PARTS more parts, or -1 for up to one more. */
static bool record_path_valid(const char *path, int parts)
{
    if (strlen(path) > STORE_RECORD_NAME_MAX)
        return false;
    const char *at = strchrnul(path, '/');
    size_t top = (size_t)(at - path);
    if (!(top == 8 && memcmp(path, "versions", 8) == 0) &&
        !(top == 5 && memcmp(path, "holds", 5) == 0))
        return false;
    int seen = 0;
    while (*at == '/') {
        const char *part = at + 1;
        at = strchrnul(part, '/');
        if (!store_record_part_valid(part, (size_t)(at - part)))
            return false;
        seen++;
    }
    return parts < 0 ? seen <= 1 : seen == parts;
}

int store_put_record(struct store *s, const char *name, const void *data, size_t size)
{
    if (!record_path_valid(name, 2) || size > STORE_RECORD_MAX)
        return -EINVAL;
    return s->ops->put_record ? s->ops->put_record(s, name, data, size) : -EROFS;
}

int store_get_record(struct store *s, const char *name, struct buffer *out)
{
    out->size = 0;
    if (!record_path_valid(name, 2))
        return -EINVAL;
    if (!s->ops->get_record)
        return -ENOTSUP;
    int r = s->ops->get_record(s, name, out);
    if (r == 0 && out->size > STORE_RECORD_MAX)
        r = -EBADMSG;
    if (r < 0)
        out->size = 0;
    return r;
}

int store_remove_record(struct store *s, const char *name)
{
    if (!record_path_valid(name, 2))
        return -EINVAL;
    if (!s->ops->remove_record)
        return -EROFS;
    int r = s->ops->remove_record(s, name);
    return r == -ENOENT ? 0 : r;
}

int store_each_record(struct store *s, const char *folder, int (*fn)(void *ctx, const char *name),
                      void *ctx)
{
    if (!record_path_valid(folder, -1))
        return -EINVAL;
    if (!s->ops->each_record)
        return -ENOTSUP;
    return s->ops->each_record(s, folder, fn, ctx);
}

void store_free(struct store *s)
{
    if (s)
        s->ops->free(s);
}
