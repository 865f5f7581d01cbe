/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines of KEY:=value: configuration files, store markers, version records, and the messages of the
 * lock server (DESIGN 7). A key is [A-Z][A-Z0-9_]*, a value one line of printable UTF-8 of at most
 * 1,024 bytes. Text that came from a person is percent-encoded. Values may be secrets, so the
 * memory is wiped when it is released. One thread at a time. */
#ifndef ISRFS_BASE_KEYVALUE_H
#define ISRFS_BASE_KEYVALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "isrfs/base/buffer.h"

#define KEYVALUE_VALUE_MAX 1024
#define KEYVALUE_TEXT_MAX  65536

struct keyvalue;

struct keyvalue *keyvalue_new(void); /* NULL: out of memory */
void keyvalue_free(struct keyvalue *kv);

/* Reads SIZE bytes of text. ALLOWED ends with NULL; an unknown or repeated key, a line of another
 * form, a value too long or not printable, text beyond KEYVALUE_TEXT_MAX: -EBADMSG, with a reason
 * that names the line in *RET_REASON (static text; may be NULL). Lines that begin with '#' and
 * empty lines are skipped. -ENOMEM. *RET belongs to the caller. */
int keyvalue_parse(const void *text, size_t size, const char *const *allowed, struct keyvalue **ret,
                   const char **ret_reason);

/* The value, owned by KV until the key is set again, or NULL. */
const char *keyvalue_get(const struct keyvalue *kv, const char *key);

/* The value as a decimal number without sign. 0, -ENOENT without the key, -EBADMSG otherwise. */
int keyvalue_get_u64(const struct keyvalue *kv, const char *key, uint64_t *ret);

/* Sets or replaces. 0, -ENOMEM, -EINVAL for a key or value that could not be read back. */
int keyvalue_set(struct keyvalue *kv, const char *key, const char *value);
int keyvalue_set_u64(struct keyvalue *kv, const char *key, uint64_t value);

/* Appends all lines, in the order in which they were set. */
int keyvalue_format(const struct keyvalue *kv, struct buffer *out);

/* Percent-encoding of all but [A-Za-z0-9._/@:,+-] (a space becomes %20). The
 * result is the caller's, NULL when out of memory. percent_decode: -EBADMSG for a bad escape or one
 * that stands for NUL. */
char *percent_encode(const char *text);
int percent_decode(const char *text, char **ret);

static inline void cleanup_keyvalue(struct keyvalue **kv)
{
    keyvalue_free(*kv);
}
#define CLEANUP_KEYVALUE CLEANUP(cleanup_keyvalue)

#endif
