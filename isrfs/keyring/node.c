/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Node bodies. All counts are bounded before anything behind them is looked at, and an object must
 * be exactly as long as its counts say. Keys are decrypted straight into the caller's locked
 * memory, so no copy of them is made. */
#include "isrfs/keyring/node.h"

#include "isrfs/base/secret.h"

#define ID_SIZE  sizeof(struct object_id)
#define KEY_SIZE sizeof(struct object_key)

static int refuse(const char *reason, const char **ret_reason)
{
    *ret_reason = reason;
    return -EBADMSG;
}

int node_read_clear(const void *object, size_t size, struct node_clear *ret,
                    const char **ret_reason)
{
    struct reader r = reader_of(object, size);
    reader_bytes(&r, OBJECT_HEADER_SIZE);
    struct node_clear n = {.level = reader_u8(&r)};
    n.patches = reader_u8(&r);
    n.count = reader_u16(&r);
    if (r.bad)
        return refuse("it is cut off", ret_reason);
    if (n.level >= KEYRING_HEIGHT_MAX)
        return refuse("its level is too high", ret_reason);
    if (n.patches > KEYRING_PATCH_MAX)
        return refuse("its flags are unknown", ret_reason);
    if (n.patches > 0 && n.level > 0)
        return refuse("it has patches above level 0", ret_reason);
    if (n.count == 0 || n.count > KEYRING_FANOUT)
        return refuse("its count is out of range", ret_reason);

    n.ids = reader_bytes(&r, n.count * ID_SIZE);
    n.patch_ids = reader_bytes(&r, n.patches * ID_SIZE);
    if (r.bad || r.left != (n.count + n.patches) * KEY_SIZE + OBJECT_TAG_SIZE)
        return refuse("its size does not fit its counts", ret_reason);
    for (unsigned i = 0; i < n.patches; i++) {
        struct object_id id = node_clear_patch(&n, i);
        if (object_id_is_hole(&id))
            return refuse("a patch has no id", ret_reason);
    }
    n.size = 4 + (n.count + n.patches) * ID_SIZE;
    *ret = n;
    return 0;
}

struct object_id node_clear_id(const struct node_clear *n, unsigned i)
{
    struct object_id id = {{0}};
    if (i < n->count)
        memcpy(&id, n->ids + i * ID_SIZE, ID_SIZE);
    return id;
}

struct object_id node_clear_patch(const struct node_clear *n, unsigned i)
{
    struct object_id id = {{0}};
    if (i < n->patches)
        memcpy(&id, n->patch_ids + i * ID_SIZE, ID_SIZE);
    return id;
}

int node_open(struct codec *codec, const struct object_ref *ref, unsigned level, const void *object,
              size_t size, struct node *ret, const char **ret_reason)
{
    struct node_clear clear;

    *ret_reason = NULL;
    int r = codec_check(codec, OBJECT_NODE, &ref->id, object, size);
    if (r == 0)
        r = node_read_clear(object, size, &clear, ret_reason);
    if (r < 0)
        return r;
    if (clear.level != level)
        return refuse("its level is not the one that belongs here", ret_reason);
    memset(ret, 0, sizeof *ret);
    r = codec_open(codec, &ref->key, object, size, clear.size, ret->keys);
    if (r == -EBADMSG)
        return refuse("its key does not open it", ret_reason);
    if (r < 0)
        return r;

    ret->level = level;
    ret->patches = clear.patches;
    memcpy(ret->ids, clear.ids, clear.count * ID_SIZE);
    secret_wipe(&ret->keys[clear.count], clear.patches * KEY_SIZE);
    for (unsigned i = 0; i < clear.count; i++) {
        if (object_id_is_hole(&ret->ids[i]) && !codec_is_zero(&ret->keys[i], KEY_SIZE))
            return refuse("a hole has a key", ret_reason);
    }
    return 0;
}

static unsigned count_trimmed(const struct node *n)
{
    unsigned count = KEYRING_FANOUT;
    while (count > 0 && object_id_is_hole(&n->ids[count - 1]))
        count--;
    return count;
}

int node_seal(struct codec *codec, const struct object_secret *secret, const struct node *n,
              struct buffer *out, struct object_ref *ret)
{
    uint8_t clear[4 + KEYRING_FANOUT * ID_SIZE];
    unsigned count = count_trimmed(n);

    clear[0] = (uint8_t)n->level;
    clear[1] = 0;
    put_u16(clear + 2, (uint16_t)count);
    memcpy(clear + 4, n->ids, count * ID_SIZE);
    return codec_seal(codec, secret, OBJECT_NODE, clear, 4 + count * ID_SIZE, n->keys,
                      count * KEY_SIZE, out, ret);
}

bool node_is_hole(const struct node *n)
{
    return count_trimmed(n) == 0;
}

struct object_ref node_entry(const struct node *n, unsigned i)
{
    return (struct object_ref){.key = n->keys[i], .id = n->ids[i]};
}

/* A hole's key is zero whatever REF says: readers refuse anything else. */
void node_set_entry(struct node *n, unsigned i, const struct object_ref *ref)
{
    n->ids[i] = ref->id;
    if (object_id_is_hole(&ref->id))
        secret_wipe(&n->keys[i], sizeof n->keys[i]);
    else
        n->keys[i] = ref->key;
}
