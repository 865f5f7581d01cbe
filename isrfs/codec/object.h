/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an object is: its name (id), what opens it (key), its header, its kinds. DESIGN 3. */
#ifndef ISRFS_CODEC_OBJECT_H
#define ISRFS_CODEC_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define OBJECT_SIZE_MAX    (8u << 20) /* bytes of a whole object */
#define OBJECT_HEADER_SIZE 8u
#define OBJECT_TAG_SIZE    16u
#define OBJECT_ID_HEX      64u

enum object_kind { OBJECT_CHUNK = 1, OBJECT_NODE = 2, OBJECT_CATALOG = 3, OBJECT_PATCH = 4 };

/* The name: SHA-256 of the object's bytes. All zero means "a hole": no object. Public. */
struct object_id {
    uint8_t bytes[32];
};

/* The key: HMAC-SHA-256 of what is encrypted and authenticated. Secret. A type of its own, so that
 * key and name cannot be swapped. */
struct object_key {
    uint8_t bytes[32];
};

/* All that is needed to find and open an object. Secret because of the key. */
struct object_ref {
    struct object_key key;
    struct object_id id;
};

/* The secret from which keys are derived: one for each user, one for a group's shared images. */
struct object_secret {
    uint8_t bytes[32];
};

static inline bool object_id_equal(const struct object_id *a, const struct object_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static inline bool object_id_is_hole(const struct object_id *id)
{
    static const struct object_id hole;
    return object_id_equal(id, &hole);
}

/* Writes 64 digits and a NUL. */
void object_id_to_hex(const struct object_id *id, char out[OBJECT_ID_HEX + 1]);
/* 0 or -EINVAL for anything but exactly 64 lower-case digits. */
int object_id_from_hex(struct object_id *id, const char *text);

#endif
