/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A short list of pairs in the order in which they were set; a message has about ten, so searching
 * it from the front is all that is needed. */
#include "isrfs/base/keyvalue.h"

#include <inttypes.h>
#include <string.h>

#include "isrfs/base/secret.h"

struct pair {
    char *key;
    char *value;
};

struct keyvalue {
    struct pair *pairs;
    size_t count;
};

struct keyvalue *keyvalue_new(void)
{
    return calloc(1, sizeof(struct keyvalue));
}

static void free_secret_text(char *text)
{
    if (text)
        secret_wipe(text, strlen(text));
    free(text);
}

void keyvalue_free(struct keyvalue *kv)
{
    if (!kv)
        return;
    for (size_t i = 0; i < kv->count; i++) {
        free(kv->pairs[i].key);
        free_secret_text(kv->pairs[i].value);
    }
    free(kv->pairs);
    free(kv);
}

static struct pair *find(const struct keyvalue *kv, const char *key)
{
    for (size_t i = 0; i < kv->count; i++)
        if (strcmp(kv->pairs[i].key, key) == 0)
            return &kv->pairs[i];
    return NULL;
}

const char *keyvalue_get(const struct keyvalue *kv, const char *key)
{
    const struct pair *pair = find(kv, key);
    return pair ? pair->value : NULL;
}

int keyvalue_get_u64(const struct keyvalue *kv, const char *key, uint64_t *ret)
{
    const char *text = keyvalue_get(kv, key);
    if (!text)
        return -ENOENT;
    if (text[strspn(text, "0123456789")] != '\0' || *text == '\0' || strlen(text) > 20)
        return -EBADMSG;
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    if (errno)
        return -EBADMSG;
    *ret = value;
    return 0;
}

static bool key_valid(const char *key)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    return *key && strchr(letters, *key) && key[strspn(key, more)] == '\0' && strlen(key) <= 64;
}

/* One character of well-formed, shortest-form UTF-8 that is not a control: its length, else 0. */
static size_t printable(const uint8_t *p, size_t left)
{
    uint8_t c = p[0];
    if (c < 0x80)
        return c >= 0x20 && c != 0x7f;
    size_t length = c >= 0xc2 && c < 0xe0   ? 2
                    : c >= 0xe0 && c < 0xf0 ? 3
                    : c >= 0xf0 && c < 0xf5 ? 4
                                            : 0;
    if (length == 0 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (c == 0xe0 && p[1] < 0xa0) || (c == 0xf0 && p[1] < 0x90);
    bool surrogate = c == 0xed && p[1] > 0x9f;
    bool beyond = c == 0xf4 && p[1] > 0x8f;
    bool control = c == 0xc2 && p[1] < 0xa0;
    return overlong || surrogate || beyond || control ? 0 : length;
}

static bool value_valid(const char *value, size_t size)
{
    if (size > KEYVALUE_VALUE_MAX)
        return false;
    for (size_t i = 0; i < size;) {
        size_t length = printable((const uint8_t *)value + i, size - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

int keyvalue_set(struct keyvalue *kv, const char *key, const char *value)
{
    if (!key_valid(key) || !value_valid(value, strlen(value)))
        return -EINVAL;
    char *copy = strdup(value);
    if (!copy)
        return -ENOMEM;
    struct pair *pair = find(kv, key);
    if (pair) {
        free_secret_text(pair->value);
        pair->value = copy;
        return 0;
    }
    struct pair *pairs = reallocarray(kv->pairs, kv->count + 1, sizeof *pairs);
    char *key_copy = strdup(key);
    if (pairs)
        kv->pairs = pairs;
    if (!pairs || !key_copy) {
        free(key_copy);
        free_secret_text(copy);
        return -ENOMEM;
    }
    kv->pairs[kv->count++] = (struct pair){key_copy, copy};
    return 0;
}

int keyvalue_set_u64(struct keyvalue *kv, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return keyvalue_set(kv, key, text);
}

static bool in_list(const char *const *list, const char *key)
{
    for (; *list; list++)
        if (strcmp(*list, key) == 0)
            return true;
    return false;
}

/* LINE is a terminated copy. */
static int parse_line(struct keyvalue *kv, char *line, size_t size, const char *const *allowed,
                      const char **reason)
{
    *reason = "a line is not KEY:=value";
    char *mark = strstr(line, ":=");
    if (!mark || strlen(line) != size)
        return -EBADMSG;
    *mark = '\0';
    const char *value = mark + 2;
    if (!key_valid(line))
        return -EBADMSG;
    *reason = "a key is not known here";
    if (!in_list(allowed, line))
        return -EBADMSG;
    *reason = "a key stands twice";
    if (find(kv, line))
        return -EBADMSG;
    *reason = "a value is too long or not printable";
    int r = keyvalue_set(kv, line, value);
    return r == -EINVAL ? -EBADMSG : r;
}

int keyvalue_parse(const void *text, size_t size, const char *const *allowed, struct keyvalue **ret,
                   const char **ret_reason)
{
    const char *unused;
    const char **reason = ret_reason ? ret_reason : &unused;
    *reason = "the text is too long";
    if (size > KEYVALUE_TEXT_MAX)
        return -EBADMSG;
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    CLEANUP_SECRET_BUFFER struct buffer line = {0};
    if (!kv)
        return -ENOMEM;
    const char *at = size ? text : "", *end = at + size;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((stop ? stop : end) - at);
        if (length > 0 && *at != '#') {
            line.size = 0;
            int r = buffer_append(&line, at, length);
            r = r < 0 ? r : buffer_terminate(&line);
            r = r < 0 ? r : parse_line(kv, (char *)line.data, length, allowed, reason);
            if (r < 0)
                return r;
        }
        at += length + 1;
    }
    *ret = steal_ptr(kv);
    return 0;
}

int keyvalue_format(const struct keyvalue *kv, struct buffer *out)
{
    for (size_t i = 0; i < kv->count; i++) {
        int r = buffer_append_text(out, kv->pairs[i].key);
        r = r < 0 ? r : buffer_append_text(out, ":=");
        r = r < 0 ? r : buffer_append_text(out, kv->pairs[i].value);
        r = r < 0 ? r : buffer_append_text(out, "\n");
        if (r < 0)
            return r;
    }
    return 0;
}

char *percent_encode(const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/@:,+-";
    char *out = malloc(3 * strlen(text) + 1);
    if (!out)
        return NULL;
    char *at = out;
    for (; *text; text++) {
        if (strchr(plain, *text))
            *at++ = *text;
        else
            at += snprintf(at, 4, "%%%02X", (unsigned char)*text);
    }
    *at = '\0';
    return out;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int percent_decode(const char *text, char **ret)
{
    CLEANUP_FREE char *out = malloc(strlen(text) + 1);
    if (!out)
        return -ENOMEM;
    char *at = out;
    while (*text) {
        if (*text != '%') {
            *at++ = *text++;
            continue;
        }
        int high = hex_value(text[1]);
        int low = high < 0 ? -1 : hex_value(text[2]);
        if (low < 0 || (high == 0 && low == 0))
            return -EBADMSG;
        *at++ = (char)(high << 4 | low);
        text += 3;
    }
    *at = '\0';
    *ret = steal_ptr(out);
    return 0;
}
