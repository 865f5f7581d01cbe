/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages of KEY:=value lines. Every reply is checked against the list of keys that it may have,
 * then key by key: nothing is taken that is not exactly of its form. Lists are in message_list.c.
 */
#include "lockclient/message.h"

#include <string.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/keyvalue.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"

#define DIGITS          "0123456789"
#define CATALOG_ID_SIZE 32u /* the end of a keyroot */

/* --- words --- */

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool uuid_valid(const char *uuid)
{
    return strspn(uuid, DIGITS "abcdef") == LOCKCLIENT_UUID_SIZE - 1 &&
           uuid[LOCKCLIENT_UUID_SIZE - 1] == '\0';
}

static bool holder_id_valid(const char *id)
{
    return strspn(id, DIGITS "abcdef") == LOCKCLIENT_HOLDER_ID_SIZE - 1 &&
           id[LOCKCLIENT_HOLDER_ID_SIZE - 1] == '\0';
}

/* SCHEME://something without control characters. */
static bool src_valid(const char *src)
{
    const char *mark = strstr(src, "://");
    if (!mark || mark == src || mark[3] == '\0' || strlen(src) >= LOCKCLIENT_TEXT_SIZE)
        return false;
    for (const char *p = src; p < mark; p++)
        if (!is_letter_or_digit(*p) || (p == src && strchr(DIGITS, *p)))
            return false;
    for (const char *p = mark; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return false;
    return true;
}

/* --- building --- */

static int set_text(struct keyvalue *kv, const char *key, const char *text, const char **ret_reason)
{
    *ret_reason = key;
    CLEANUP_FREE char *encoded = percent_encode(text);
    return encoded ? keyvalue_set(kv, key, encoded) : -ENOMEM;
}

static int set_version(struct keyvalue *kv, const struct lockclient_new_version *v,
                       const char *site, const char **ret_reason)
{
    char hex[2 * LOCKCLIENT_KEYROOT_SIZE + 1];
    hex_encode(hex, v->keyroot, LOCKCLIENT_KEYROOT_SIZE);
    *ret_reason = "KEYROOT";
    int r = keyvalue_set(kv, "KEYROOT", hex);
    secret_wipe(hex, sizeof hex);
    r = r < 0 ? r : keyvalue_set_u64(kv, "SIZE", v->size);
    r = r < 0 ? r : keyvalue_set_u64(kv, "NEWBYTES", v->newbytes);
    r = r < 0 ? r : set_text(kv, "SITE", site, ret_reason);
    if (r == 0 && v->comment && *v->comment)
        r = set_text(kv, "COMMENT", v->comment, ret_reason);
    return r;
}

int message_build_site(const char *site, struct buffer *out, const char **ret_reason)
{
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    if (!kv)
        return -ENOMEM;
    int r = set_text(kv, "SITE", site, ret_reason);
    return r < 0 ? r : keyvalue_format(kv, out);
}

static int set_lost(struct keyvalue *kv, const struct lockclient_create *c)
{
    char hex[2 * LOCKCLIENT_RECOVERY_SIZE + 1];
    int r = keyvalue_set_u64(kv, "VERSION", c->number);
    if (r < 0 || !c->recovery)
        return r;
    hex_encode(hex, c->recovery, LOCKCLIENT_RECOVERY_SIZE);
    r = keyvalue_set(kv, "RECOVERY", hex);
    secret_wipe(hex, sizeof hex);
    return r;
}

int message_build_create(const struct lockclient_create *c, const char *site, struct buffer *out,
                         const char **ret_reason)
{
    *ret_reason = !uuid_valid(c->uuid)    ? "UUID"
                  : !uuid_valid(c->store) ? "STORE"
                  : !src_valid(c->src)    ? "SRC"
                                          : NULL;
    if (*ret_reason)
        return -EINVAL;
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    if (!kv)
        return -ENOMEM;
    int r = keyvalue_set(kv, "UUID", c->uuid);
    r = r < 0 ? r : keyvalue_set(kv, "STORE", c->store);
    r = r < 0 ? r : set_text(kv, "SRC", c->src, ret_reason);
    r = r < 0 ? r : set_version(kv, &c->version, site, ret_reason);
    r = r < 0 || c->number == 0 ? r : set_lost(kv, c);
    return r < 0 ? r : keyvalue_format(kv, out);
}

static int set_rekey(struct keyvalue *kv, const struct lockclient_publish *p,
                     const char **ret_reason)
{
    char hex[2 * LOCKCLIENT_SECRET_SIZE + 1];
    *ret_reason = "UUID";
    if (!uuid_valid(p->uuid))
        return -EINVAL;
    int r = keyvalue_set(kv, "UUID", p->uuid);
    hex_encode(hex, p->secret, LOCKCLIENT_SECRET_SIZE);
    r = r < 0 ? r : keyvalue_set(kv, "SECRET", hex);
    secret_wipe(hex, sizeof hex);
    return r;
}

int message_build_publish(const struct lockclient_publish *p, const char *site, struct buffer *out,
                          const char **ret_reason)
{
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    if (!kv)
        return -ENOMEM;
    int r = keyvalue_set_u64(kv, "BASE", p->base);
    r = r < 0 ? r : keyvalue_set(kv, "CONSISTENT", p->consistent ? "yes" : "no");
    r = r < 0 ? r : set_version(kv, &p->version, site, ret_reason);
    r = r < 0 || !p->uuid ? r : set_rekey(kv, p, ret_reason);
    return r < 0 ? r : keyvalue_format(kv, out);
}

int message_build_break(const struct lockclient_break *b, struct buffer *out,
                        const char **ret_reason)
{
    *ret_reason = "HOLDER";
    if (b->id && !holder_id_valid(b->id))
        return -EINVAL;
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    if (!kv)
        return -ENOMEM;
    int r = b->id ? keyvalue_set(kv, "HOLDER", b->id) : 0;
    if (r == 0 && b->reason && *b->reason)
        r = set_text(kv, "REASON", b->reason, ret_reason);
    return r < 0 ? r : keyvalue_format(kv, out);
}

/* CATALOG, SITE, COMMENT. */
static int set_old_version(struct keyvalue *kv, const uint8_t *catalog, const char *site,
                           const char *comment, const char **ret_reason)
{
    char hex[2 * CATALOG_ID_SIZE + 1];
    hex_encode(hex, catalog, CATALOG_ID_SIZE);
    *ret_reason = "CATALOG";
    int r = keyvalue_set(kv, "CATALOG", hex);
    r = r < 0 ? r : set_text(kv, "SITE", site, ret_reason);
    if (r == 0 && comment && *comment)
        r = set_text(kv, "COMMENT", comment, ret_reason);
    return r;
}

int message_build_rollback(const struct lockclient_rollback *b, const char *site,
                           struct buffer *out, const char **ret_reason)
{
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    if (!kv)
        return -ENOMEM;
    *ret_reason = "BASE";
    int r = keyvalue_set_u64(kv, "BASE", b->base);
    r = r < 0 ? r : set_old_version(kv, b->catalog, site, b->comment, ret_reason);
    return r < 0 ? r : keyvalue_format(kv, out);
}

int message_build_clone(const struct lockclient_clone *c, const char *site, struct buffer *out,
                        const char **ret_reason)
{
    *ret_reason = "UUID";
    if (!uuid_valid(c->uuid))
        return -EINVAL;
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    if (!kv)
        return -ENOMEM;
    int r = keyvalue_set(kv, "UUID", c->uuid);
    r = r < 0 ? r : set_old_version(kv, c->catalog, site, c->comment, ret_reason);
    return r < 0 ? r : keyvalue_format(kv, out);
}

int message_build_uuid(const char *uuid, const char *versions, struct buffer *out,
                       const char **ret_reason)
{
    *ret_reason = "UUID";
    if (!uuid_valid(uuid))
        return -EINVAL;
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    if (!kv)
        return -ENOMEM;
    int r = keyvalue_set(kv, "UUID", uuid);
    *ret_reason = "VERSIONS";
    r = r < 0 || !versions ? r : keyvalue_set(kv, "VERSIONS", versions);
    return r < 0 ? r : keyvalue_format(kv, out);
}

/* --- parsing --- */

/* Each get_ returns 0 or negative errno, and leaves the key's name in *REASON. */

static int get_hex(const struct keyvalue *kv, const char *key, void *out, size_t size,
                   const char **reason)
{
    *reason = key;
    const char *value = keyvalue_get(kv, key);
    return value && hex_decode(out, size, value) == 0 ? 0 : -EBADMSG;
}

static int get_number(const struct keyvalue *kv, const char *key, uint64_t *out,
                      const char **reason)
{
    *reason = key;
    return keyvalue_get_u64(kv, key, out) == 0 ? 0 : -EBADMSG;
}

static int get_version(const struct keyvalue *kv, uint64_t *out, const char **reason)
{
    int r = get_number(kv, "VERSION", out, reason);
    return r == 0 && *out == 0 ? -EBADMSG : r;
}

static int get_uuid(const struct keyvalue *kv, const char *key, char out[LOCKCLIENT_UUID_SIZE],
                    const char **reason)
{
    *reason = key;
    const char *value = keyvalue_get(kv, key);
    if (!value || !uuid_valid(value))
        return -EBADMSG;
    memcpy(out, value, LOCKCLIENT_UUID_SIZE);
    return 0;
}

static int get_recovery(const struct keyvalue *kv, uint8_t out[LOCKCLIENT_RECOVERY_SIZE],
                        bool *ret_has, const char **reason)
{
    *ret_has = keyvalue_get(kv, "RECOVERY");
    return *ret_has ? get_hex(kv, "RECOVERY", out, LOCKCLIENT_RECOVERY_SIZE, reason) : 0;
}

static int get_equal(const struct keyvalue *kv, const char *key, const char *expected,
                     const char **reason)
{
    *reason = key;
    const char *value = keyvalue_get(kv, key);
    return value && strcmp(value, expected) == 0 ? 0 : -EBADMSG;
}

static int get_src(const struct keyvalue *kv, const char *key, char out[LOCKCLIENT_TEXT_SIZE],
                   const char **reason)
{
    *reason = key;
    const char *value = keyvalue_get(kv, key);
    CLEANUP_FREE char *plain = NULL;
    int r = value ? percent_decode(value, &plain) : -EBADMSG;
    if (r < 0 || !src_valid(plain))
        return r < 0 ? r : -EBADMSG;
    memcpy(out, plain, strlen(plain) + 1);
    return 0;
}

int message_parse_user(const void *text, size_t size, struct lockclient_user *ret,
                       const char **ret_reason)
{
    static const char *const allowed[] = {"SECRET", "RECOVERY", "EPOCH", "DEFAULT_SRC", NULL};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    int r = keyvalue_parse(text, size, allowed, &kv, ret_reason);
    if (r < 0)
        return r;
    r = get_hex(kv, "SECRET", ret->secret, sizeof ret->secret, ret_reason);
    r = r < 0 ? r : get_recovery(kv, ret->recovery, &ret->has_recovery, ret_reason);
    r = r < 0 ? r : get_number(kv, "EPOCH", &ret->epoch, ret_reason);
    return r < 0 ? r : get_src(kv, "DEFAULT_SRC", ret->default_src, ret_reason);
}

int message_parse_parcel_cfg(const void *text, size_t size, const char *parcel,
                             struct lockclient_parcel_cfg *ret, const char **ret_reason)
{
    static const char *const allowed[] = {"PARCEL",  "UUID",  "SRC", "STORE",
                                          "VERSION", "EPOCH", NULL};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    int r = keyvalue_parse(text, size, allowed, &kv, ret_reason);
    if (r < 0)
        return r;
    r = get_equal(kv, "PARCEL", parcel, ret_reason);
    r = r < 0 ? r : get_uuid(kv, "UUID", ret->uuid, ret_reason);
    r = r < 0 ? r : get_src(kv, "SRC", ret->src, ret_reason);
    r = r < 0 ? r : get_uuid(kv, "STORE", ret->store, ret_reason);
    r = r < 0 ? r : get_version(kv, &ret->version, ret_reason);
    return r < 0 ? r : get_number(kv, "EPOCH", &ret->epoch, ret_reason);
}

int message_parse_keyroot(const void *text, size_t size, uint64_t version,
                          struct lockclient_keyroot *ret, const char **ret_reason)
{
    static const char *const allowed[] = {"KEYROOT", "SECRET", "RECOVERY", "VERSION", NULL};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    int r = keyvalue_parse(text, size, allowed, &kv, ret_reason);
    if (r < 0)
        return r;
    r = get_hex(kv, "KEYROOT", ret->keyroot, sizeof ret->keyroot, ret_reason);
    r = r < 0 ? r : get_hex(kv, "SECRET", ret->secret, sizeof ret->secret, ret_reason);
    r = r < 0 ? r : get_recovery(kv, ret->recovery, &ret->has_recovery, ret_reason);
    r = r < 0 ? r : get_version(kv, &ret->version, ret_reason);
    return r == 0 && version && ret->version != version ? -EBADMSG : r;
}

int message_parse_lock(const void *text, size_t size, const char *nonce,
                       struct lockclient_lock *ret, const char **ret_reason)
{
    static const char *const allowed[] = {"NONCE", "SESSION", "VERSION", "SINCE", NULL};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    int r = keyvalue_parse(text, size, allowed, &kv, ret_reason);
    if (r < 0)
        return r;
    r = get_equal(kv, "NONCE", nonce, ret_reason);
    r = r < 0 ? r : get_hex(kv, "SESSION", ret->session, sizeof ret->session, ret_reason);
    r = r < 0 ? r : get_version(kv, &ret->version, ret_reason);
    return r < 0 ? r : get_number(kv, "SINCE", &ret->since, ret_reason);
}

int message_parse_check(const void *text, size_t size, struct lockclient_check *ret,
                        const char **ret_reason)
{
    static const char *const allowed[] = {"STATE", "VERSION", "SESSION", NULL};
    static const char *const states[] = {
        [LOCKCLIENT_UNKNOWN] = "unknown",     [LOCKCLIENT_HELD] = "held",
        [LOCKCLIENT_PUBLISHED] = "published", [LOCKCLIENT_RELEASED] = "released",
        [LOCKCLIENT_BROKEN] = "broken",
    };
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    int r = keyvalue_parse(text, size, allowed, &kv, ret_reason);
    if (r < 0)
        return r;
    memset(ret, 0, sizeof *ret);
    const char *state = keyvalue_get(kv, "STATE");
    size_t i = 0;
    while (state && i < sizeof states / sizeof *states && strcmp(state, states[i]) != 0)
        i++;
    *ret_reason = "STATE";
    if (!state || i == sizeof states / sizeof *states)
        return -EBADMSG;
    ret->state = (enum lockclient_state)i;
    bool versioned = ret->state == LOCKCLIENT_HELD || ret->state == LOCKCLIENT_PUBLISHED;
    *ret_reason = "VERSION";
    if (versioned)
        r = get_version(kv, &ret->version, ret_reason);
    else if (keyvalue_get(kv, "VERSION"))
        r = -EBADMSG;
    ret->has_session = keyvalue_get(kv, "SESSION") != NULL;
    if (r < 0 || (!ret->has_session &&
                  (ret->state == LOCKCLIENT_UNKNOWN || ret->state == LOCKCLIENT_BROKEN)))
        return r;
    r = get_hex(kv, "SESSION", ret->session, sizeof ret->session, ret_reason);
    return r == 0 && ret->state == LOCKCLIENT_UNKNOWN ? -EBADMSG : r;
}

int message_parse_version(const void *text, size_t size, uint64_t version, const char **ret_reason)
{
    static const char *const allowed[] = {"VERSION", NULL};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    int r = keyvalue_parse(text, size, allowed, &kv, ret_reason);
    if (r < 0)
        return r;
    uint64_t found = 0;
    r = get_version(kv, &found, ret_reason);
    return r == 0 && found != version ? -EBADMSG : r;
}

int message_parse_done(const void *text, size_t size, const char *key, const char **ret_reason)
{
    const char *const allowed[] = {key, NULL};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    int r = keyvalue_parse(text, size, allowed, &kv, ret_reason);
    return r < 0 ? r : get_equal(kv, key, "1", ret_reason);
}

static int get_holder(const struct keyvalue *kv, struct lockclient_holder *ret, const char **reason)
{
    const char *user = keyvalue_get(kv, "HOLDER_USER");
    *reason = "HOLDER_USER";
    if (!user || !message_name_valid(user))
        return -EBADMSG;
    const char *site = keyvalue_get(kv, "HOLDER_SITE");
    *reason = "HOLDER_SITE";
    CLEANUP_FREE char *plain = NULL;
    int r = site ? percent_decode(site, &plain) : -EBADMSG;
    if (r < 0)
        return r;
    log_clean(ret->site, sizeof ret->site, plain);
    r = get_number(kv, "HOLDER_SINCE", &ret->since, reason);
    ret->seen = 0;
    if (r == 0 && keyvalue_get(kv, "HOLDER_SEEN"))
        r = get_number(kv, "HOLDER_SEEN", &ret->seen, reason);
    if (r == 0)
        memcpy(ret->user, user, strlen(user) + 1);
    return r;
}

int message_parse_broken(const void *text, size_t size, struct lockclient_broken *ret,
                         const char **ret_reason)
{
    static const char *const allowed[] = {"BROKEN",      "HELD",        "WITHHELD",
                                          "HOLDER_USER", "HOLDER_SITE", "HOLDER_SINCE",
                                          "HOLDER_SEEN", "BEFORE",      NULL};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    int r = keyvalue_parse(text, size, allowed, &kv, ret_reason);
    if (r < 0)
        return r;
    *ret = (struct lockclient_broken){0};
    const char *nonce = keyvalue_get(kv, "BROKEN");
    if (!nonce)
        return get_equal(kv, "HELD", "no", ret_reason);
    *ret_reason = "BROKEN";
    if (!message_nonce_valid(nonce) || keyvalue_get(kv, "HELD"))
        return -EBADMSG;
    memcpy(ret->nonce, nonce, strlen(nonce) + 1);
    ret->held = true;
    return keyvalue_get(kv, "BEFORE") ? get_equal(kv, "BEFORE", "1", ret_reason)
                                      : get_holder(kv, &ret->holder, ret_reason);
}

int message_parse_held(const void *text, size_t size, struct lockclient_held *ret,
                       const char **ret_reason)
{
    static const char *const allowed[] = {
        "HELD",         "HOLDER",      "HOLDER_USER", "HOLDER_SITE",
        "HOLDER_SINCE", "HOLDER_SEEN", "NEEDED",      NULL};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    int r = keyvalue_parse(text, size, allowed, &kv, ret_reason);
    if (r < 0)
        return r;
    *ret = (struct lockclient_held){0};
    const char *id = keyvalue_get(kv, "HOLDER");
    if (!id)
        return get_equal(kv, "HELD", "no", ret_reason);
    *ret_reason = "HOLDER";
    if (!holder_id_valid(id) || keyvalue_get(kv, "HELD"))
        return -EBADMSG;
    memcpy(ret->id, id, sizeof ret->id);
    ret->held = true;
    r = get_holder(kv, &ret->holder, ret_reason);
    return r < 0 ? r : get_number(kv, "NEEDED", &ret->needed, ret_reason);
}

int message_parse_failure(const void *text, size_t size, struct message_failure *ret,
                          const char **ret_reason)
{
    static const char *const allowed[] = {"STALE",       "LOST",        "EXISTS",
                                          "HOLDER_USER", "HOLDER_SITE", "HOLDER_SINCE",
                                          "HOLDER_SEEN", NULL};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    *ret = (struct message_failure){0};
    int r = keyvalue_parse(text, size, allowed, &kv, ret_reason);
    if (r < 0)
        return r;
    ret->stale = keyvalue_get(kv, "STALE") != NULL;
    ret->lost = keyvalue_get(kv, "LOST") != NULL;
    ret->exists = keyvalue_get(kv, "EXISTS") != NULL;
    return keyvalue_get(kv, "HOLDER_USER") ? get_holder(kv, &ret->holder, ret_reason) : 0;
}
