/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The name says all that a collector of garbage needs; the text repeats it, so that a record that
 * was copied under another name is recognised. The time is this site's, for people only. */
#include "isrfs/sync/version.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "isrfs/base/keyvalue.h"

#define NAME_SIZE 160

static void record_name(char out[NAME_SIZE], const char *uuid, uint64_t number, const char *hex)
{
    snprintf(out, NAME_SIZE, "versions/%s/%" PRIu64 "-%s", uuid, number, hex);
}

int version_put(struct store *home, const char *uuid, uint64_t number,
                const struct object_id *catalog)
{
    char hex[OBJECT_ID_HEX + 1], name[NAME_SIZE];
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
    char hex[OBJECT_ID_HEX + 1], name[NAME_SIZE];
    object_id_to_hex(catalog, hex);
    record_name(name, uuid, number, hex);
    return store_remove_record(home, name);
}

struct selection {
    const uint64_t *numbers; /* NULL: all */
    size_t count;
    struct buffer names; /* each with its NUL */
};

static bool selected(const struct selection *s, const char *name)
{
    char *end;
    uint64_t number = strtoull(name, &end, 10);
    if (!s->numbers || end == name || *end != '-')
        return !s->numbers;
    for (size_t i = 0; i < s->count; i++)
        if (s->numbers[i] == number)
            return true;
    return false;
}

static int select_name(void *ctx, const char *name)
{
    struct selection *s = ctx;
    return selected(s, name) ? buffer_append(&s->names, name, strlen(name) + 1) : 0;
}

int version_remove_numbers(struct store *home, const char *uuid, const uint64_t *numbers,
                           size_t count)
{
    char name[STORE_RECORD_NAME_MAX];
    struct selection s = {.numbers = numbers, .count = count};
    snprintf(name, sizeof name, "versions/%s", uuid);
    int r = store_each_record(home, name, select_name, &s);
    for (size_t at = 0; r == 0 && at < s.names.size; at += strlen((char *)s.names.data + at) + 1) {
        int n = snprintf(name, sizeof name, "versions/%s/%s", uuid, (char *)s.names.data + at);
        if (n < (int)sizeof name) /* else it is none of ours */
            r = store_remove_record(home, name);
    }
    buffer_free(&s.names);
    return r;
}
