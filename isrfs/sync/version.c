/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The name says all that a collector of garbage needs; the text repeats it, so that a record that
 * was copied under another name is recognised. The time is this site's, for people only. */
#include "isrfs/sync/version.h"

#include <inttypes.h>
#include <time.h>

#include "isrfs/base/keyvalue.h"

static void record_name(char out[VERSION_NAME_SIZE], const char *uuid, uint64_t number,
                        const char *hex)
{
    snprintf(out, VERSION_NAME_SIZE, "versions/%s/%" PRIu64 "-%s", uuid, number, hex);
}

void version_name(char out[VERSION_NAME_SIZE], const char *uuid, uint64_t number,
                  const struct object_id *catalog)
{
    char hex[OBJECT_ID_HEX + 1];
    object_id_to_hex(catalog, hex);
    record_name(out, uuid, number, hex);
}

int version_put(struct store *home, const char *uuid, uint64_t number,
                const struct object_id *catalog)
{
    char hex[OBJECT_ID_HEX + 1], name[VERSION_NAME_SIZE];
    object_id_to_hex(catalog, hex);
    record_name(name, uuid, number, hex);
    CLEANUP_BUFFER struct buffer text = {0};
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    if (!kv)
        return -ENOMEM;
    int r = keyvalue_set(kv, "FORMAT", "1");
    r = r < 0 ? r : keyvalue_set(kv, "UUID", uuid);
    r = r < 0 ? r : keyvalue_set_u64(kv, "NUMBER", number);
    r = r < 0 ? r : keyvalue_set(kv, "CATALOG", hex);
    r = r < 0 ? r : keyvalue_set_u64(kv, "TIME", (uint64_t)time(NULL));
    r = r < 0 ? r : keyvalue_format(kv, &text);
    return r < 0 ? r : store_put_record(home, name, text.data, text.size);
}

int version_remove(struct store *home, const char *uuid, uint64_t number,
                   const struct object_id *catalog)
{
    char hex[OBJECT_ID_HEX + 1], name[VERSION_NAME_SIZE];
    object_id_to_hex(catalog, hex);
    record_name(name, uuid, number, hex);
    return store_remove_record(home, name);
}
