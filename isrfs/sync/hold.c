/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A nonce proves nothing to who keeps the store, and is not told: its hash is the name. */
#include "isrfs/sync/hold.h"

#include <stdio.h>
#include <string.h>

#include "isrfs/base/keyvalue.h"

#define NAME_SIZE 128

static int record_name(struct codec *codec, const char *uuid, const char *nonce,
                       char out[NAME_SIZE])
{
    struct object_id digest;
    char hex[OBJECT_ID_HEX + 1];
    int r = codec_digest(codec, nonce, strlen(nonce), &digest);
    if (r < 0)
        return r;
    object_id_to_hex(&digest, hex);
    snprintf(out, NAME_SIZE, "holds/%s/%s", uuid, hex);
    return 0;
}

int hold_put(struct store *home, struct codec *codec, const char *uuid, const char *nonce,
             const struct object_id *catalog)
{
    char name[NAME_SIZE], hex[OBJECT_ID_HEX + 1];
    object_id_to_hex(catalog, hex);
    CLEANUP_BUFFER struct buffer text = {0};
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    if (!kv)
        return -ENOMEM;
    int r = record_name(codec, uuid, nonce, name);
    r = r < 0 ? r : keyvalue_set(kv, "FORMAT", "1");
    r = r < 0 ? r : keyvalue_set(kv, "CATALOG", hex);
    r = r < 0 ? r : keyvalue_format(kv, &text);
    return r < 0 ? r : store_put_record(home, name, text.data, text.size);
}

int hold_remove(struct store *home, struct codec *codec, const char *uuid, const char *nonce)
{
    char name[NAME_SIZE];
    int r = record_name(codec, uuid, nonce, name);
    return r < 0 ? r : store_remove_record(home, name);
}
