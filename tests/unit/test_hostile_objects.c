/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nothing that was changed, cut, forged or swapped is ever taken for an object. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/codec_bench.h"

static void every_changed_bit_is_refused(void **state)
{
    (void)state;
    struct codec *c = codec_for(&zstd_none);
    struct object_ref ref, forged;
    uint8_t object[512], chunk[4096];
    size_t size = known(&known_zstd, object, &ref);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        object[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(codec_check(c, OBJECT_CHUNK, &ref.id, object, size), -EBADMSG);
        assert_int_equal(codec_decode_chunk(c, &ref, object, size, chunk, sizeof chunk), -EBADMSG);
        /* also when whoever changed it has given it a new name */
        forged = ref;
        assert_int_equal(codec_digest(c, object, size, &forged.id), 0);
        assert_int_equal(codec_decode_chunk(c, &forged, object, size, chunk, sizeof chunk),
                         -EBADMSG);
        object[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(codec_decode_chunk(c, &ref, object, size, chunk, sizeof chunk), 0);
    codec_free(c);
}

static void every_cut_object_is_refused(void **state)
{
    (void)state;
    struct codec *c = codec_for(&zstd_none);
    struct object_ref ref, forged;
    uint8_t object[512], chunk[4096];
    size_t size = known(&known_zstd, object, &ref);
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(codec_decode_chunk(c, &ref, object, cut, chunk, sizeof chunk), -EBADMSG);
        forged = ref;
        assert_int_equal(codec_digest(c, object, cut, &forged.id), 0);
        assert_int_equal(codec_decode_chunk(c, &forged, object, cut, chunk, sizeof chunk),
                         -EBADMSG);
    }
    codec_free(c);
}

static void a_wrong_key_opens_nothing_and_leaves_nothing(void **state)
{
    (void)state;
    struct codec *c = codec_for(&zstd_none);
    struct object_ref ref;
    uint8_t object[512], plain[512], zeros[512] = {0};
    size_t size = known(&known_stored, object, &ref);
    ref.key.bytes[31] ^= 1;
    memset(plain, 0, sizeof plain);
    assert_int_equal(codec_open(c, &ref.key, object, size, 0, plain), -EBADMSG);
    assert_memory_equal(plain, zeros, sizeof plain);
    uint8_t chunk[4096];
    assert_int_equal(codec_decode_chunk(c, &ref, object, size, chunk, sizeof chunk), -EBADMSG);
    codec_free(c);
}

static void an_object_of_another_kind_is_refused(void **state)
{
    (void)state;
    struct codec *c = codec_for(&zstd_none);
    struct object_ref ref;
    uint8_t object[512], chunk[4096];
    size_t size = known(&known_node, object, &ref);
    assert_int_equal(codec_check(c, OBJECT_NODE, &ref.id, object, size), 0);
    assert_int_equal(codec_check(c, OBJECT_CATALOG, &ref.id, object, size), -EBADMSG);
    assert_int_equal(codec_decode_chunk(c, &ref, object, size, chunk, sizeof chunk), -EBADMSG);
    CLEANUP_SECRET_BUFFER struct buffer out = {0};
    assert_int_equal(codec_decode_packed(c, &ref, OBJECT_CATALOG, object, size, 4, 1 << 20, &out),
                     -EBADMSG);
    codec_free(c);
}

/* A chunk object around any packed bytes, as a hostile writer who has the secret could make it. */
static int decode_forged(struct codec *c, const void *packed, size_t size)
{
    struct object_secret secret = test_secret();
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref ref;
    uint8_t chunk[4096];
    assert_int_equal(codec_seal(c, &secret, OBJECT_CHUNK, NULL, 0, packed, size, &object, &ref), 0);
    return codec_decode_chunk(c, &ref, object.data, object.size, chunk, sizeof chunk);
}

static void lengths_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct codec *c = codec_for(&zstd_none);
    uint8_t good[64] = {0, 5, 0, 0, 0, 5, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'};
    assert_int_equal(decode_forged(c, good, 14), 0);
    assert_int_equal(decode_forged(c, good, 30), 0); /* zeros behind are padding, of any length */
    static const struct {
        uint32_t plain, packed;
    } bad[] = {{4, 5},
               {6, 5},
               {5, 4},
               {0, 5},
               {5, 6},
               {5, UINT32_MAX},
               {UINT32_MAX, UINT32_MAX},
               {UINT32_MAX, 5},
               {4097, 4097},
               {5, UINT32_MAX - 8}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (uint8_t method = 0; method < 3; method++) {
            good[0] = method;
            put_u32(good + 1, bad[i].plain);
            put_u32(good + 5, bad[i].packed);
            assert_int_equal(decode_forged(c, good, 14), -EBADMSG);
        }
    for (size_t cut = 0; cut < 9; cut++)
        assert_int_equal(decode_forged(c, good, cut), -EBADMSG);
    size_t length;
    assert_int_equal(codec_packed_length(good, 14, 1 << 20, &length), -EBADMSG);
    codec_free(c);
}

static void padding_that_is_not_zero_is_refused(void **state)
{
    (void)state;
    struct codec *c = codec_for(&zstd_none);
    uint8_t packed[32] = {0, 5, 0, 0, 0, 5, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'};
    for (size_t i = 14; i < sizeof packed; i++) {
        packed[i] = 1;
        assert_int_equal(decode_forged(c, packed, sizeof packed), -EBADMSG);
        packed[i] = 0;
    }
    assert_int_equal(decode_forged(c, packed, sizeof packed), 0);
    codec_free(c);
}

static void an_unknown_compressor_is_refused(void **state)
{
    (void)state;
    struct codec *c = codec_for(&zstd_none);
    uint8_t packed[14] = {0, 5, 0, 0, 0, 5, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'};
    for (unsigned method = 3; method < 256; method++) {
        packed[0] = (uint8_t)method;
        assert_int_equal(decode_forged(c, packed, sizeof packed), -EBADMSG);
    }
    codec_free(c);
}

/* SIZE zeros packed with METHOD, but said to be CLAIM bytes long. */
static int decode_bomb(enum codec_method method, size_t size, uint32_t claim)
{
    struct codec *c = codec_for(&(struct codec_settings){method, 0, CODEC_PAD_NONE});
    CLEANUP_BUFFER struct buffer packed = {0};
    uint8_t *data = calloc(1, size);
    assert_int_equal(codec_pack(c, data, size, &packed), 0);
    assert_int_equal(packed.data[0], method);
    put_u32(packed.data + 1, claim);
    int r = decode_forged(c, packed.data, packed.size);
    free(data);
    codec_free(c);
    return r;
}

static void a_decompression_bomb_ends_at_the_length_it_claims(void **state)
{
    (void)state;
    static const enum codec_method methods[] = {CODEC_ZLIB, CODEC_ZSTD};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(decode_bomb(methods[i], 4096, 4096), 0);
        assert_int_equal(decode_bomb(methods[i], 64u << 20, 4096), -EBADMSG);
        assert_int_equal(decode_bomb(methods[i], 64u << 20, 64u << 20), -EBADMSG);
        assert_int_equal(decode_bomb(methods[i], 4095, 4096), -EBADMSG);
    }
}

static void bytes_behind_the_compressed_ones_are_refused(void **state)
{
    (void)state;
    static const enum codec_method methods[] = {CODEC_ZLIB, CODEC_ZSTD};
    static const uint8_t zeros[4096];
    for (size_t i = 0; i < 2; i++) {
        struct codec *c = codec_for(&(struct codec_settings){methods[i], 0, CODEC_PAD_NONE});
        CLEANUP_BUFFER struct buffer packed = {0};
        assert_int_equal(codec_pack(c, zeros, sizeof zeros, &packed), 0);
        assert_int_equal(decode_forged(c, packed.data, packed.size), 0);
        assert_int_equal(buffer_put_u8(&packed, 0), 0); /* as padding */
        assert_int_equal(decode_forged(c, packed.data, packed.size), 0);
        put_u32(packed.data + 5, get_u32(packed.data + 5) + 1); /* as what is to be unpacked */
        assert_int_equal(decode_forged(c, packed.data, packed.size), -EBADMSG);
        codec_free(c);
    }
}

static void random_packed_bytes_are_refused_or_bounded(void **state)
{
    (void)state;
    struct codec *c = codec_for(&zstd_none);
    uint32_t random = 42;
    uint8_t packed[300], data[4096 + 1];
    for (unsigned round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof packed; i++)
            packed[i] = (uint8_t)next_random(&random);
        packed[0] = (uint8_t)(1 + round % 2);
        put_u32(packed + 1, next_random(&random) % 4097);
        put_u32(packed + 5, sizeof packed - 9);
        if (round % 2) { /* let it get past the first test of each format */
            put_u32(packed + 9, 0xfd2fb528);
        } else {
            packed[9] = 0x78;
            packed[10] = 0x9c;
        }
        size_t length;
        assert_int_equal(codec_packed_length(packed, sizeof packed, 4096, &length), 0);
        data[length] = 0x5a;
        int r = codec_unpack(c, packed, sizeof packed, data, length);
        assert_true(r == 0 || r == -EBADMSG);
        assert_int_equal(data[length], 0x5a);
    }
    codec_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_changed_bit_is_refused),
        cmocka_unit_test(every_cut_object_is_refused),
        cmocka_unit_test(a_wrong_key_opens_nothing_and_leaves_nothing),
        cmocka_unit_test(an_object_of_another_kind_is_refused),
        cmocka_unit_test(lengths_that_do_not_fit_are_refused),
        cmocka_unit_test(padding_that_is_not_zero_is_refused),
        cmocka_unit_test(an_unknown_compressor_is_refused),
        cmocka_unit_test(a_decompression_bomb_ends_at_the_length_it_claims),
        cmocka_unit_test(bytes_behind_the_compressed_ones_are_refused),
        cmocka_unit_test(random_packed_bytes_are_refused_or_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
