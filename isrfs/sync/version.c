/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The name says all that a collector of garbage needs; the text repeats it, so that a record that
 * was copied under another name is recognised. The time is this site's, for people only.
 *
 * SEALED is AES-256-GCM: nonce (random), the catalog's key and the parcel's name padded with zeros,
 * tag. The key comes from the recovery key; uuid, number and catalog id are authenticated with it,
 * so a seal fits no other record. Putting a record again seals it anew: another nonce, the same
 * statement. */
#include "isrfs/sync/version.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/keyvalue.h"
#include "isrfs/base/secret.h"
#include "isrfs/codec/aead.h"
#include "lockclient/lockclient.h"

#define NUMBER_DIGITS 15u /* as at the lock server */
#define PURPOSE       "isrfs recovery 1"

struct sealed {
    uint8_t key[AEAD_KEY_SIZE];
    uint8_t parcel[LOCKCLIENT_NAME_SIZE - 1]; /* padded with zeros */
};

_Static_assert(sizeof(struct sealed) + AEAD_NONCE_SIZE + AEAD_TAG_SIZE == VERSION_SEALED_SIZE,
               "a sealed keyroot has no holes");

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

/* --- the seal --- */

static void cleanup_aead(struct aead **a)
{
    aead_free(*a);
}

static int sealing_key(struct codec *codec, const uint8_t *recovery, uint8_t ret[AEAD_KEY_SIZE])
{
    uint8_t padded[32] = {0};
    memcpy(padded, recovery, LOCKCLIENT_RECOVERY_SIZE);
    int r = codec_hmac(codec, padded, PURPOSE, strlen(PURPOSE), NULL, 0, ret);
    secret_wipe(padded, sizeof padded);
    return r;
}

static int seal_or_open(struct store *home, const uint8_t *recovery, const char *uuid,
                        uint64_t number, const struct object_id *catalog, struct sealed *plain,
                        uint8_t box[VERSION_SEALED_SIZE], bool opening)
{
    CLEANUP(cleanup_aead) struct aead *aead = aead_new();
    if (!aead)
        return -errno;
    char aad[VERSION_NAME_SIZE], hex[OBJECT_ID_HEX + 1];
    object_id_to_hex(catalog, hex);
    record_name(aad, uuid, number, hex);
    uint8_t key[AEAD_KEY_SIZE], *text = box + AEAD_NONCE_SIZE, *tag = text + sizeof *plain;
    int r = sealing_key(home->codec, recovery, key);
    if (r == 0 && !opening)
        r = random_bytes(box, AEAD_NONCE_SIZE);
    if (r == 0 && opening)
        r = aead_open(aead, key, box, aad, strlen(aad), text, sizeof *plain, tag, (uint8_t *)plain);
    else if (r == 0)
        r = aead_seal(aead, key, box, aad, strlen(aad), plain, sizeof *plain, text, tag);
    secret_wipe(key, sizeof key);
    return r;
}

static int set_seal(struct keyvalue *kv, struct store *home, const char *uuid, uint64_t number,
                    const struct object_ref *keyroot, const struct version_seal *seal)
{
    uint8_t box[VERSION_SEALED_SIZE];
    char hex[2 * sizeof box + 1];
    struct sealed plain = {0};
    if (!seal->recovery)
        return 0;
    if (!lockclient_name_valid(seal->parcel))
        return -EINVAL;
    memcpy(plain.key, keyroot->key.bytes, sizeof plain.key);
    memcpy(plain.parcel, seal->parcel, strlen(seal->parcel));
    int r = seal_or_open(home, seal->recovery, uuid, number, &keyroot->id, &plain, box, false);
    secret_wipe(&plain, sizeof plain);
    hex_encode(hex, box, sizeof box);
    return r < 0 ? r : keyvalue_set(kv, "SEALED", hex);
}

/* --- writing --- */

int version_put(struct store *home, const char *uuid, uint64_t number,
                const struct object_ref *keyroot, const struct version_seal *seal)
{
    char hex[OBJECT_ID_HEX + 1], name[VERSION_NAME_SIZE];
    object_id_to_hex(&keyroot->id, hex);
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
    r = r < 0 ? r : set_seal(kv, home, uuid, number, keyroot, seal);
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

/* --- reading --- */

bool version_name_parse(const char *name, uint64_t *ret_number, struct object_id *ret_catalog)
{
    size_t digits = strspn(name, "0123456789");
    if (digits == 0 || digits > NUMBER_DIGITS || name[0] == '0' || name[digits] != '-')
        return false;
    *ret_number = strtoull(name, NULL, 10);
    return hex_decode(ret_catalog->bytes, sizeof ret_catalog->bytes, name + digits + 1) == 0;
}

static bool is_set_to(const struct keyvalue *kv, const char *key, const char *expected)
{
    const char *value = keyvalue_get(kv, key);
    return value && strcmp(value, expected) == 0;
}

static int parse(const struct buffer *text, const char *name, struct version *v)
{
    /* ALSO is in the format, for stores beside the home. */
    static const char *const allowed[] = {"FORMAT", "UUID",   "NUMBER", "CATALOG",
                                          "TIME",   "SEALED", "ALSO",   NULL};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    uint64_t number;
    int r = keyvalue_parse(text->data, text->size, allowed, &kv, NULL);
    if (r < 0)
        return r;
    const char *hex = strchr(name, '-') + 1, *sealed = keyvalue_get(kv, "SEALED");
    if (!is_set_to(kv, "FORMAT", "1") || !is_set_to(kv, "UUID", v->uuid) ||
        !is_set_to(kv, "CATALOG", hex) || keyvalue_get_u64(kv, "NUMBER", &number) < 0 ||
        number != v->number)
        return -EBADMSG;
    if (keyvalue_get(kv, "TIME") && keyvalue_get_u64(kv, "TIME", &v->time) < 0)
        return -EBADMSG;
    v->has_seal = sealed;
    return sealed && hex_decode(v->sealed, sizeof v->sealed, sealed) < 0 ? -EBADMSG : 0;
}

int version_get(struct store *home, const char *uuid, const char *name, struct version *ret)
{
    char path[VERSION_NAME_SIZE];
    CLEANUP_BUFFER struct buffer text = {0};
    *ret = (struct version){0};
    if (strlen(uuid) >= sizeof ret->uuid ||
        !version_name_parse(name, &ret->number, &ret->catalog.id))
        return -EBADMSG;
    memcpy(ret->uuid, uuid, strlen(uuid) + 1);
    snprintf(path, sizeof path, "versions/%s/%s", uuid, name);
    int r = store_get_record(home, path, &text);
    return r < 0 ? r : parse(&text, name, ret);
}

int version_open(struct store *home, struct version *v,
                 const uint8_t recovery[LOCKCLIENT_RECOVERY_SIZE])
{
    struct sealed plain;
    if (!v->has_seal)
        return -ENOKEY;
    int r =
        seal_or_open(home, recovery, v->uuid, v->number, &v->catalog.id, &plain, v->sealed, true);
    if (r < 0)
        return r;
    memcpy(v->catalog.key.bytes, plain.key, sizeof plain.key);
    memcpy(v->parcel, plain.parcel, sizeof plain.parcel);
    v->parcel[sizeof plain.parcel] = '\0';
    secret_wipe(&plain, sizeof plain);
    return lockclient_name_valid(v->parcel) ? 0 : -EBADMSG;
}
