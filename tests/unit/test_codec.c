/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Objects are made and read as doc/format.md says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "isrfs/base/hex.h"
#include "tests/unit/codec_bench.h"

static void round_trip(const struct codec_settings *settings, size_t filled, size_t chunk_size)
{
    struct codec *c = codec_for(settings);
    struct object_secret secret = test_secret();
    uint8_t *chunk = malloc(chunk_size), *back = malloc(chunk_size);
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref ref;
    fill_text(chunk, filled, chunk_size);
    memset(back, 0xee, chunk_size);
    assert_int_equal(codec_encode_chunk(c, &secret, chunk, chunk_size, &object, &ref), 0);
    assert_int_equal(codec_check(c, OBJECT_CHUNK, &ref.id, object.data, object.size), 0);
    assert_int_equal(codec_decode_chunk(c, &ref, object.data, object.size, back, chunk_size), 0);
    assert_memory_equal(chunk, back, chunk_size);
    memset(back, 0xee, chunk_size);
    assert_int_equal(
        codec_decode_checked_chunk(c, &ref, object.data, object.size, back, chunk_size), 0);
    assert_memory_equal(chunk, back, chunk_size);
    free(chunk);
    free(back);
    codec_free(c);
}

static void what_is_encoded_comes_back_with_every_method_level_and_padding(void **state)
{
    (void)state;
    static const size_t filled[] = {1, 2, 15, 16, 17, 4096, CHUNK - 1, CHUNK};
    static const struct codec_settings settings[] = {
        {CODEC_STORED, 0, 0}, {CODEC_ZLIB, 0, 0}, {CODEC_ZLIB, 1, 0}, {CODEC_ZLIB, 9, 0},
        {CODEC_ZSTD, 0, 0},   {CODEC_ZSTD, 3, 0}, {CODEC_ZSTD, 19, 0}};
    for (size_t s = 0; s < sizeof settings / sizeof *settings; s++)
        for (size_t f = 0; f < sizeof filled / sizeof *filled; f++)
            for (int pad = CODEC_PAD_NONE; pad <= CODEC_PAD_PADME; pad++) {
                struct codec_settings one = settings[s];
                one.pad = (enum codec_pad)pad;
                round_trip(&one, filled[f], CHUNK);
            }
}

static void the_smallest_and_largest_chunk_sizes_work(void **state)
{
    (void)state;
    round_trip(&zstd_none, 16u << 10, 16u << 10);
    round_trip(&zstd_none, 4u << 20, 4u << 20);
    round_trip(&stored_padme, 4u << 20, 4u << 20);
}

static void levels_that_a_method_has_not_are_refused(void **state)
{
    (void)state;
    static const struct codec_settings bad[] = {{CODEC_ZLIB, 10, 0},
                                                {CODEC_ZSTD, 99, 0},
                                                {CODEC_ZSTD, -1, 0},
                                                {(enum codec_method)3, 0, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_null(codec_new(&bad[i]));
}

static void chunks_have_the_bytes_that_the_format_says(void **state)
{
    (void)state;
    static const uint8_t chunk[4096] = KNOWN_TEXT;
    struct object_secret secret = test_secret();
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref ref;
    struct codec *c = codec_for(&stored_none);
    assert_int_equal(codec_encode_chunk(c, &secret, chunk, sizeof chunk, &object, &ref), 0);
    assert_object_is(&known_stored, &object, &ref);
    codec_free(c);
    c = codec_for(&stored_padme);
    assert_int_equal(codec_encode_chunk(c, &secret, chunk, sizeof chunk, &object, &ref), 0);
    assert_object_is(&known_padded, &object, &ref);
    codec_free(c);
}

static void nodes_have_the_bytes_that_the_format_says(void **state)
{
    (void)state;
    struct object_secret secret = test_secret();
    struct codec *c = codec_for(&zstd_none);
    uint8_t clear[36] = {0, 0, 1, 0}, keys[32], back[32];
    memset(clear + 4, 0x11, 32);
    memset(keys, 0x22, 32);
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref ref;
    assert_int_equal(codec_seal(c, &secret, OBJECT_NODE, clear, 36, keys, 32, &object, &ref), 0);
    assert_object_is(&known_node, &object, &ref);
    assert_int_equal(codec_open(c, &ref.key, object.data, object.size, 36, back), 0);
    assert_memory_equal(back, keys, 32);
    codec_free(c);
}

static void chunks_packed_by_other_programs_are_read(void **state)
{
    (void)state;
    const struct vector *vectors[] = {&known_zlib, &known_zstd};
    struct codec *c = codec_for(&stored_none);
    uint8_t want[4096] = {0}, chunk[4096], object[512];
    for (size_t i = 0; i < 100; i++)
        memcpy(want + 20 * i, KNOWN_TEXT, 20);
    for (size_t i = 0; i < 2; i++) {
        struct object_ref ref;
        size_t size = known(vectors[i], object, &ref);
        memset(chunk, 0xee, sizeof chunk);
        assert_int_equal(codec_decode_chunk(c, &ref, object, size, chunk, sizeof chunk), 0);
        assert_memory_equal(chunk, want, sizeof want);
    }
    codec_free(c);
}

static void digest_and_hmac_are_the_standard_ones(void **state)
{
    (void)state;
    struct codec *c = codec_for(&zstd_none);
    struct object_secret secret = test_secret();
    struct object_id id;
    uint8_t mac[32];
    char hex[65];
    assert_int_equal(codec_digest(c, "abc", 3, &id), 0);
    object_id_to_hex(&id, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(codec_digest(c, NULL, 0, &id), 0);
    object_id_to_hex(&id, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (int again = 0; again < 2; again++) { /* the second time with a used context */
        assert_int_equal(codec_hmac(c, secret.bytes, "abc", 3, "def", 3, mac), 0);
        hex_encode(hex, mac, 32);
        assert_string_equal(hex,
                            "2867d85143fa9948833a5ec6f3c7d31068cc5a9ba587e08b1e8ad88e1a30acb3");
    }
    codec_free(c);
}

static void incompressible_chunks_are_stored_raw(void **state)
{
    (void)state;
    static const enum codec_method methods[] = {CODEC_ZLIB, CODEC_ZSTD};
    uint8_t *noise = malloc(CHUNK);
    fill_noise(noise, CHUNK);
    for (size_t i = 0; i < 2; i++) {
        struct codec *c = codec_for(&(struct codec_settings){methods[i], 0, CODEC_PAD_NONE});
        CLEANUP_BUFFER struct buffer packed = {0};
        assert_int_equal(codec_pack(c, noise, CHUNK, &packed), 0);
        assert_int_equal(packed.data[0], CODEC_STORED);
        assert_int_equal(packed.size, 9 + CHUNK);
        assert_int_equal(codec_pack(c, "x", 1, &packed), 0);
        assert_int_equal(packed.data[0], CODEC_STORED);
        assert_int_equal(codec_pack(c, NULL, 0, &packed), 0);
        assert_int_equal(packed.size, 9);
        codec_free(c);
    }
    free(noise);
}

static void padded_lengths_are_few_and_at_most_an_eighth_longer(void **state)
{
    (void)state;
    struct codec *c = codec_for(&stored_padme);
    uint8_t *noise = malloc(CHUNK);
    fill_noise(noise, CHUNK);
    size_t different = 0, last = 0;
    CLEANUP_BUFFER struct buffer packed = {0};
    for (size_t size = 1; size <= CHUNK; size += 97) {
        assert_int_equal(codec_pack(c, noise, size, &packed), 0);
        assert_true(packed.size >= 9 + size);
        assert_true((packed.size - 9 - size) * 8 <= 9 + size);
        different += packed.size != last;
        last = packed.size;
    }
    assert_in_range(different, 10, 400); /* of 1,352 lengths */
    free(noise);
    codec_free(c);
}

static void the_same_content_is_stored_once_and_only_within_one_secret(void **state)
{
    (void)state;
    struct object_secret secret = test_secret(), other = test_secret();
    other.bytes[0] ^= 1;
    uint8_t *chunk = malloc(CHUNK);
    fill_text(chunk, CHUNK - 100, CHUNK);
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref a, b, third;
    struct codec *c = codec_for(&zstd_none), *d = codec_for(&zstd_none);
    assert_int_equal(codec_encode_chunk(c, &secret, chunk, CHUNK, &object, &a), 0);
    assert_int_equal(codec_encode_chunk(c, &other, chunk, CHUNK, &object, &third), 0);
    assert_int_equal(codec_encode_chunk(d, &secret, chunk, CHUNK, &object, &b), 0);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(&a.id, &third.id, sizeof a.id);
    assert_memory_not_equal(&a.key, &third.key, sizeof a.key);
    codec_free(c);
    codec_free(d);
    free(chunk);
}

static void two_compressors_never_share_a_key(void **state)
{
    (void)state;
    struct object_secret secret = test_secret();
    uint8_t *chunk = malloc(CHUNK);
    fill_text(chunk, CHUNK, CHUNK);
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref a, b;
    struct codec *c = codec_for(&zstd_none), *d = codec_for(&stored_none);
    assert_int_equal(codec_encode_chunk(c, &secret, chunk, CHUNK, &object, &a), 0);
    assert_int_equal(codec_encode_chunk(d, &secret, chunk, CHUNK, &object, &b), 0);
    assert_memory_not_equal(&a.key, &b.key, sizeof a.key);
    codec_free(c);
    codec_free(d);
    free(chunk);
}

static void an_object_beyond_the_largest_size_is_not_made(void **state)
{
    (void)state;
    struct object_secret secret = test_secret();
    struct codec *c = codec_for(&stored_none);
    uint8_t *data = calloc(1, OBJECT_SIZE_MAX);
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref ref;
    const size_t most = OBJECT_SIZE_MAX - OBJECT_HEADER_SIZE - OBJECT_TAG_SIZE;
    assert_int_equal(codec_seal(c, &secret, 3, data, 4, data, most - 4, &object, &ref), 0);
    assert_int_equal(object.size, OBJECT_SIZE_MAX);
    assert_int_equal(codec_seal(c, &secret, 3, data, 4, data, most - 3, &object, &ref), -EFBIG);
    assert_int_equal(codec_seal(c, &secret, 3, data, SIZE_MAX, data, 1, &object, &ref), -EFBIG);
    assert_int_equal(codec_seal(c, &secret, 3, data, 1, data, SIZE_MAX, &object, &ref), -EFBIG);
    free(data);
    codec_free(c);
}

static void a_packed_object_with_clear_bytes_comes_back_and_is_bounded(void **state)
{
    (void)state;
    struct object_secret secret = test_secret();
    struct codec *c = codec_for(&zstd_none);
    static const uint8_t clear[36] = {1};
    uint8_t text[5000];
    fill_text(text, sizeof text, sizeof text);
    CLEANUP_SECRET_BUFFER struct buffer packed = {0}, out = {0};
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref ref;
    assert_int_equal(codec_pack(c, text, sizeof text, &packed), 0);
    assert_int_equal(codec_seal(c, &secret, OBJECT_CATALOG, clear, sizeof clear, packed.data,
                                packed.size, &object, &ref),
                     0);
    const void *o = object.data;
    assert_int_equal(codec_decode_packed(c, &ref, OBJECT_CATALOG, o, object.size, 36, 5000, &out),
                     0);
    assert_int_equal(out.size, sizeof text);
    assert_memory_equal(out.data, text, sizeof text);
    static const size_t wrong[] = {0, 35, 37, SIZE_MAX, SIZE_MAX - 24};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(
            codec_decode_packed(c, &ref, OBJECT_CATALOG, o, object.size, wrong[i], 5000, &out),
            -EBADMSG);
    assert_int_equal(codec_decode_packed(c, &ref, OBJECT_CATALOG, o, object.size, 36, 4999, &out),
                     -EBADMSG);
    codec_free(c);
}

struct worker {
    pthread_t thread;
    struct codec *codec;
    unsigned number;
    bool ok;
};

static void *encode_and_decode(void *arg)
{
    struct worker *w = arg;
    struct object_secret secret = test_secret();
    CLEANUP_BUFFER struct buffer object = {0};
    uint8_t chunk[16384], back[16384];
    for (unsigned i = 0; i < 50; i++) {
        struct object_ref ref;
        fill_text(chunk, 100 + 100 * w->number + i, sizeof chunk);
        if (codec_encode_chunk(w->codec, &secret, chunk, sizeof chunk, &object, &ref) < 0 ||
            codec_decode_chunk(w->codec, &ref, object.data, object.size, back, sizeof back) < 0 ||
            memcmp(chunk, back, sizeof chunk) != 0)
            return NULL;
    }
    w->ok = true;
    return NULL;
}

static void many_threads_share_a_codec(void **state)
{
    (void)state;
    struct codec *c = codec_for(&zstd_none);
    struct worker workers[8] = {0};
    for (unsigned i = 0; i < 8; i++) {
        workers[i].codec = c;
        workers[i].number = i;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, encode_and_decode, &workers[i]),
                         0);
    }
    for (unsigned i = 0; i < 8; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_true(workers[i].ok);
    }
    codec_free(c);
}

static void names_are_read_only_in_their_one_form(void **state)
{
    (void)state;
    static const char good[] = "00ff0123456789abcdef00112233445566778899aabbccddeeff000000000001";
    struct object_id id;
    char text[66];
    assert_int_equal(object_id_from_hex(&id, good), 0);
    object_id_to_hex(&id, text);
    assert_string_equal(text, good);
    snprintf(text, sizeof text, "%s0", good);
    assert_int_equal(object_id_from_hex(&id, text), -EINVAL);
    text[63] = '\0';
    assert_int_equal(object_id_from_hex(&id, text), -EINVAL);
    snprintf(text, sizeof text, "%s", good);
    text[2] = 'F';
    assert_int_equal(object_id_from_hex(&id, text), -EINVAL);
    text[2] = '/';
    assert_int_equal(object_id_from_hex(&id, text), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_comes_back_with_every_method_level_and_padding),
        cmocka_unit_test(the_smallest_and_largest_chunk_sizes_work),
        cmocka_unit_test(levels_that_a_method_has_not_are_refused),
        cmocka_unit_test(chunks_have_the_bytes_that_the_format_says),
        cmocka_unit_test(nodes_have_the_bytes_that_the_format_says),
        cmocka_unit_test(chunks_packed_by_other_programs_are_read),
        cmocka_unit_test(digest_and_hmac_are_the_standard_ones),
        cmocka_unit_test(incompressible_chunks_are_stored_raw),
        cmocka_unit_test(padded_lengths_are_few_and_at_most_an_eighth_longer),
        cmocka_unit_test(the_same_content_is_stored_once_and_only_within_one_secret),
        cmocka_unit_test(two_compressors_never_share_a_key),
        cmocka_unit_test(an_object_beyond_the_largest_size_is_not_made),
        cmocka_unit_test(a_packed_object_with_clear_bytes_comes_back_and_is_bounded),
        cmocka_unit_test(many_threads_share_a_codec),
        cmocka_unit_test(names_are_read_only_in_their_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
