/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The content is made by small generators, so that every run has the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "isrfs/base/hex.h"
#include "tests/unit/codec_bench.h"

const struct codec_settings zstd_none = {CODEC_ZSTD, 0, CODEC_PAD_NONE};
const struct codec_settings stored_none = {CODEC_STORED, 0, CODEC_PAD_NONE};
const struct codec_settings stored_padme = {CODEC_STORED, 0, CODEC_PAD_PADME};

struct object_secret test_secret(void)
{
    struct object_secret s;
    for (unsigned i = 0; i < 32; i++)
        s.bytes[i] = (uint8_t)i;
    return s;
}

struct codec *codec_for(const struct codec_settings *settings)
{
    struct codec *c = codec_new(settings);
    assert_non_null(c);
    return c;
}

uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

void fill_text(uint8_t *out, size_t filled, size_t size)
{
    uint32_t state = 1;
    memset(out, 0, size);
    for (size_t i = 0; i < filled; i++)
        out[i] = (uint8_t)(i % 3 ? 'a' + next_random(&state) % 4 : next_random(&state));
    if (filled)
        out[filled - 1] = 'z';
}

void fill_noise(uint8_t *out, size_t size)
{
    uint32_t state = 7;
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(next_random(&state) >> 16);
}

/* The vectors below were made apart from this code, with python3's hmac, hashlib, zlib, the zstd
 * command and AES-256-GCM of python3-cryptography; the secret is the bytes 0 to 31. */
const struct vector known_stored = {
    "012144adc9355d56d5334b91b6feb92b090666247c6a125b030b488e2fb1c446",
    "0c5dad398a576b64bac67662847da32525192df3cb7311ed152036a0fb6f4d33",
    "4953524f01010100af83a4621d2993e34356e5ddb387f08a040beb0dd6b01934a51119565efc6859adaf4ec928d8e6"
    "8bc2a842ca00"};
const struct vector known_padded = {
    "2284a5362e6c67bf1fb78c539daf3acde45e2d41b4edf5f17652ef52947ce6e9",
    "0934b4903fcfa72ca2ca11a5204536ecde1aa6dfac71561918908072ec7312d7",
    "4953524f0101010058aeebd253ce9bbb447ced2069d68615faec0108a77a0fe0eb735fd976e8f41335db1d7f088129"
    "85e76af9938ba9"};
const struct vector known_node = {
    "4bfd7e9ef9e152beab791157928a1b9e10da4aab0406414260ab3e5e3a2fd475",
    "4cbd7c850c67d5b03d43d72e6b74c380da2fdf3ae97291236e6ab690398b26d7",
    "4953524f01020100000001001111111111111111111111111111111111111111111111111111111111111111ff46d7"
    "be8af632b852b0c9e19c223784efbf9c6f04354c9496757778056812f7072b15328f710c85654ddbb15ce03011"};
const struct vector known_zlib = {
    "b4b787243661ad79572fd09fe205516cd812cbb52d802c2892b52605a77abf46",
    "01a4ce76975557dcf3810a7ee86e0c5d9b04a1cc31244cb903f9914aec9dadb2",
    "4953524f010101003c9a034990895651bf93a068471971950841b96e58d07496b3c1f0ba021d6b5cd781522809c728"
    "b925e08a80807739c3cb892cf367384cc099001af09689034bb93226b8d1e7"};
const struct vector known_zstd = {
    "821ee856b341d0fb72ac36045fee9c1d21d48b8419c2cb0135aa776948c39358",
    "6879b9b4651b8f10af448a95bd6b1cf21fed031bb677785ad125a1425cbad305",
    "4953524f01010100b91b1735cb73f2149f09457bfd82e0af27d427c9b6dacbb782c7e1d51b484222e8e47242e768f2"
    "a08674f27cfc0a5c86c5d1521e84e479ddf97ccfd1beb2bdf7f3d0ba"};

size_t known(const struct vector *v, uint8_t object[512], struct object_ref *ref)
{
    size_t size = strlen(v->object) / 2;
    assert_int_equal(hex_decode(object, size, v->object), 0);
    assert_int_equal(hex_decode(ref->key.bytes, 32, v->key), 0);
    assert_int_equal(hex_decode(ref->id.bytes, 32, v->id), 0);
    return size;
}

void assert_object_is(const struct vector *v, const struct buffer *object,
                      const struct object_ref *ref)
{
    uint8_t want[512];
    struct object_ref want_ref;
    size_t size = known(v, want, &want_ref);
    assert_int_equal(object->size, size);
    assert_memory_equal(object->data, want, size);
    assert_memory_equal(ref, &want_ref, sizeof *ref);
}
