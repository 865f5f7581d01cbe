/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of objects as text: the lower-case hexadecimal that stands in a store's file names. */
#include "isrfs/codec/object.h"

#include "isrfs/base/hex.h"

_Static_assert(sizeof(struct object_id) == 32, "an id is its bytes");
_Static_assert(sizeof(struct object_key) == 32, "a key is its bytes");

void object_id_to_hex(const struct object_id *id, char out[OBJECT_ID_HEX + 1])
{
    hex_encode(out, id->bytes, sizeof id->bytes);
}

int object_id_from_hex(struct object_id *id, const char *text)
{
    return hex_decode(id->bytes, sizeof id->bytes, text);
}
