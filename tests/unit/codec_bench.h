/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of objects share: a secret, content, and known answers. */
#ifndef TESTS_UNIT_CODEC_BENCH_H
#define TESTS_UNIT_CODEC_BENCH_H

#include "isrfs/codec/codec.h"

#define CHUNK      (128u << 10)
#define KNOWN_TEXT "isrfs: known answer\n"

extern const struct codec_settings zstd_none, stored_none, stored_padme;

/* An object as it must be, in hexadecimal. */
struct vector {
    const char *key, *id, *object;
};
extern const struct vector known_stored, known_padded, known_node, known_zlib, known_zstd;

/* The bytes 0 to 31. */
struct object_secret test_secret(void);

struct codec *codec_for(const struct codec_settings *settings);

uint32_t next_random(uint32_t *state);

/* FILLED bytes of which about half compress away, then zeros; and bytes that do not compress. */
void fill_text(uint8_t *out, size_t filled, size_t size);
void fill_noise(uint8_t *out, size_t size);

/* The vector's object and what opens it; gives its size. */
size_t known(const struct vector *v, uint8_t object[512], struct object_ref *ref);

void assert_object_is(const struct vector *v, const struct buffer *object,
                      const struct object_ref *ref);

#endif
