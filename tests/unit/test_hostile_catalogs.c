/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Catalogs made by somebody who may write to the store and has the keys: well-named, well
 * encrypted, and wrong behind that. Whoever reads them says -EBADMSG and touches nothing beyond.
 * Run under the address and undefined behaviour sanitizers this also shows that nothing is
 * over-read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "isrfs/parcel/catalog.h"
#include "tests/random.h"

static const struct object_secret secret = {{6, 6, 6}};

struct bench {
    struct codec *codec;
    uint64_t seed;
};

static int set_up(void **state)
{
    static const struct codec_settings settings = {.method = CODEC_ZSTD};
    struct bench *b = calloc(1, sizeof *b);

    b->codec = codec_new(&settings);
    b->seed = 1;
    *state = b;
    return b->codec ? 0 : -1;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    codec_free(b->codec);
    free(b);
    return 0;
}

static unsigned below(struct bench *b, unsigned end)
{
    return (unsigned)test_random_below(&b->seed, end);
}

#define KEY                 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define TAIL                "\"mode\":420,\"mtime\":[1,2]"
#define REGULAR             TAIL ",\"size\":5,\"chunk\":131072,\"height\":1,\"key\":\"" KEY "\""
#define FILE_AT(id, path)   "{\"id\":" id ",\"path\":\"" path "\",\"type\":\"file\"," REGULAR "}"
#define FOLDER_AT(id, path) "{\"id\":" id ",\"path\":\"" path "\",\"type\":\"folder\"," TAIL "}"
#define TABLE(files)        "{\"next_id\":100,\"files\":[" files "]}"
/* One file whose fields from mode on are these. */
#define FIELDS(fields) TABLE("{\"id\":2,\"path\":\"a\",\"type\":\"file\"," fields "}")

/* Seals JSON as a catalog with that many roots that are no holes, and reads it. */
static int decode(struct bench *b, const void *json, size_t size, unsigned roots,
                  struct catalog **ret)
{
    CLEANUP_BUFFER struct buffer clear = {0};
    CLEANUP_BUFFER struct buffer packed = {0};
    CLEANUP_BUFFER struct buffer object = {0};
    CLEANUP_CATALOG struct catalog *c = NULL;
    struct object_ref ref;

    assert_int_equal(buffer_put_u32(&clear, roots), 0);
    for (unsigned i = 0; i < 8 * roots; i++)
        assert_int_equal(buffer_put_u32(&clear, i + 1), 0);
    assert_int_equal(codec_pack(b->codec, json, size, &packed), 0);
    assert_int_equal(codec_seal(b->codec, &secret, OBJECT_CATALOG, clear.data, clear.size,
                                packed.data, packed.size, &object, &ref),
                     0);
    int r = catalog_decode(b->codec, &ref, object.data, object.size, &c);
    assert_true(r == 0 || r == -EBADMSG);
    assert_true((r == 0) == (c != NULL));
    if (ret)
        *ret = steal_ptr(c);
    return r;
}

static int decode_text(struct bench *b, const char *json, unsigned roots)
{
    return decode(b, json, strlen(json), roots, NULL);
}

static void the_examples_are_good(void **state)
{
    struct bench *b = *state;

    assert_int_equal(decode_text(b, TABLE(""), 0), 0);
    assert_int_equal(decode_text(b, TABLE(FILE_AT("2", "a")), 1), 0);
    assert_int_equal(decode_text(b, FIELDS(REGULAR), 1), 0);
    assert_int_equal(decode_text(b, FIELDS(REGULAR ",\"volatile\":true"), 1), 0);
    assert_int_equal(decode_text(b, TABLE(FOLDER_AT("3", "d") "," FILE_AT("2", "d/a")), 1), 0);
}

static void bad_paths_are_refused(void **state)
{
    static const char *const paths[] = {"",           ".",         "..",        "/",
                                        "/a",         "a/",        "d/../a",    "d/..",
                                        "d//a",       "d/./a",     "../a",      "/etc/passwd",
                                        ".isrfs",     ".isrfs/x",  "a\\u0000b", "\\u0000",
                                        "\xff",       "\xc0\xaf",  "\\ud800",   "\xed\xa0\x80",
                                        "d/\xe2\x82", "missing/a", "f/a",       "later/a",
                                        "d",          "f"};
    struct bench *b = *state;
    char json[2048];

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        snprintf(json, sizeof json,
                 TABLE(FOLDER_AT("3", "d") "," FILE_AT("4", "f") "," FILE_AT(
                     "2", "%s") "," FOLDER_AT("5", "later")),
                 paths[i]);
        assert_int_equal(decode_text(b, json, 2), -EBADMSG);
    }
    snprintf(json, sizeof json,
             TABLE(FOLDER_AT("3", "d") "," FILE_AT("4", "f") "," FILE_AT("2", "%s") "," FOLDER_AT(
                 "5", "later")),
             "d/f");
    assert_int_equal(decode_text(b, json, 2), 0);
}

static void too_long_paths_are_refused(void **state)
{
    struct bench *b = *state;
    CLEANUP_BUFFER struct buffer json = {0};
    CLEANUP_BUFFER struct buffer path = {0};

    /* 16 folders, one in the other, of 255 bytes and a '/': the last ends at 4,095 */
    assert_int_equal(buffer_append_text(&json, "{\"next_id\":100,\"files\":["), 0);
    for (unsigned i = 0; i < 16; i++) {
        if (i > 0)
            assert_int_equal(buffer_append_text(&path, "/"), 0);
        for (unsigned k = 0; k < 255; k++)
            assert_int_equal(buffer_append_text(&path, "n"), 0);
        assert_int_equal(buffer_terminate(&path), 0);
        assert_int_equal(buffer_printf(&json, FOLDER_AT("%u", "%s") "%s", 2 + i, (char *)path.data,
                                       i < 15 ? "," : ""),
                         0);
    }
    size_t good = json.size;
    assert_int_equal(buffer_append_text(&json, "]}"), 0);
    assert_int_equal(decode(b, json.data, json.size, 0, NULL), 0);
    json.size = good;
    assert_int_equal(buffer_printf(&json, "," FOLDER_AT("50", "%s/n") "]}", (char *)path.data), 0);
    assert_int_equal(decode(b, json.data, json.size, 0, NULL), -EBADMSG);

    json.size = 0;
    path.data[255] = '\0';
    assert_int_equal(buffer_printf(&json, TABLE(FOLDER_AT("2", "%s")), (char *)path.data), 0);
    assert_int_equal(decode(b, json.data, json.size, 0, NULL), 0);
    json.size = 0;
    assert_int_equal(buffer_printf(&json, TABLE(FOLDER_AT("2", "x%s")), (char *)path.data), 0);
    assert_int_equal(decode(b, json.data, json.size, 0, NULL), -EBADMSG);
}

static void bad_tables_are_refused(void **state)
{
    static const char *const tables[] = {
        "",
        " ",
        "null",
        "[]",
        "{}",
        "7",
        "\"x\"",
        "{\"files\":[]}",
        "{\"next_id\":100}",
        "{\"next_id\":100,\"files\":{}}",
        "{\"next_id\":100,\"files\":[7]}",
        "{\"next_id\":100,\"files\":[null]}",
        "{\"next_id\":\"100\",\"files\":[]}",
        "{\"next_id\":0,\"files\":[]}",
        "{\"next_id\":1,\"files\":[]}",
        "{\"next_id\":-5,\"files\":[]}",
        "{\"next_id\":9007199254740993,\"files\":[]}",
        "{\"next_id\":1e3,\"files\":[]}",
        "{\"next_id\":99999999999999999999,\"files\":[]}",
        "{\"next_id\":100,\"files\":[],\"version\":1}",
        "{\"next_id\":100,\"next_id\":100,\"files\":[]}",
        TABLE("") "x",
        TABLE("") TABLE(""),
        "{\"next_id\":100,\"files\":[}",
        "{\"next_id\":100,\"files\":[]",
        TABLE(FOLDER_AT("2", "a") "," FOLDER_AT("3", "a")),
        TABLE(FOLDER_AT("2", "a") "," FOLDER_AT("2", "b")),
        TABLE(FOLDER_AT("2", "a") "," FOLDER_AT("2", "a")),
        TABLE(FOLDER_AT("1", "a")),
        TABLE(FOLDER_AT("0", "a")),
        TABLE(FOLDER_AT("-2", "a")),
        TABLE(FOLDER_AT("100", "a")),
        TABLE(FOLDER_AT("9007199254740992", "a")),
        TABLE(FOLDER_AT("2.0", "a")),
        TABLE(FOLDER_AT("true", "a")),
        TABLE(FOLDER_AT("[]", "a")),
        TABLE("{\"id\":2,\"path\":[\"a\"],\"type\":\"folder\"," TAIL "}"),
        TABLE("{\"id\":2,\"type\":\"folder\"," TAIL "}"),
        TABLE("{\"path\":\"a\",\"type\":\"folder\"," TAIL "}"),
        TABLE("{\"id\":2,\"path\":\"a\"," TAIL "}"),
        TABLE("{\"id\":2,\"path\":\"a\",\"type\":\"symlink\"," TAIL "}"),
        TABLE("{\"id\":2,\"path\":\"a\",\"type\":\"\"," TAIL "}"),
        TABLE("{\"id\":2,\"path\":\"a\",\"type\":2," TAIL "}"),
        TABLE("{\"id\":2,\"path\":\"a\",\"type\":\"folder\",\"size\":1," TAIL "}"),
        TABLE("{\"id\":2,\"path\":\"a\",\"type\":\"folder\",\"target\":\"b\"," TAIL "}")};
    struct bench *b = *state;

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        assert_int_equal(decode_text(b, tables[i], 0), -EBADMSG);
    assert_int_equal(decode_text(b, TABLE(FILE_AT("2", "a")), 0), -EBADMSG);
    assert_int_equal(decode_text(b, TABLE(FILE_AT("2", "a")), 2), -EBADMSG);
    assert_int_equal(decode_text(b, TABLE(FOLDER_AT("2", "a")), 1), -EBADMSG);
}

static void bad_fields_are_refused(void **state)
{
#define F(mode, mtime, size, chunk, height, key)                                                   \
    FIELDS("\"mode\":" mode ",\"mtime\":" mtime ",\"size\":" size ",\"chunk\":" chunk              \
           ",\"height\":" height ",\"key\":" key)
#define K "\"" KEY "\""
    static const char *const tables[] = {
        F("512", "[1,2]", "5", "131072", "1", K),
        F("-1", "[1,2]", "5", "131072", "1", K),
        F("\"rw\"", "[1,2]", "5", "131072", "1", K),
        F("420", "[1]", "5", "131072", "1", K),
        F("420", "[1,2,3]", "5", "131072", "1", K),
        F("420", "[]", "5", "131072", "1", K),
        F("420", "[1,-1]", "5", "131072", "1", K),
        F("420", "[1,1000000000]", "5", "131072", "1", K),
        F("420", "[1,\"2\"]", "5", "131072", "1", K),
        F("420", "1.5", "5", "131072", "1", K),
        F("420", "[99999999999999999999,2]", "5", "131072", "1", K),
        F("420", "[1,2]", "-1", "131072", "1", K),
        F("420", "[1,2]", "5.5", "131072", "1", K),
        F("420", "[1,2]", "9223372036854775808", "131072", "1", K),
        F("420", "[1,2]", "18446744073709551615", "131072", "1", K),
        F("420", "[1,2]", "5", "0", "1", K),
        F("420", "[1,2]", "5", "1", "1", K),
        F("420", "[1,2]", "5", "8192", "1", K),
        F("420", "[1,2]", "5", "8388608", "1", K),
        F("420", "[1,2]", "5", "131073", "1", K),
        F("420", "[1,2]", "5", "196608", "1", K),
        F("420", "[1,2]", "5", "-131072", "1", K),
        F("420", "[1,2]", "5", "4295098368", "1", K),
        F("420", "[1,2]", "5", "131072", "9", K),
        F("420", "[1,2]", "5", "131072", "-1", K),
        F("420", "[1,2]", "5", "131072", "4294967297", K),
        F("420", "[1,2]", "5", "131072", "0", K),
        F("420", "[1,2]", "5", "131072", "1", "\"\""),
        F("420", "[1,2]", "5", "131072", "1", "7"),
        F("420", "[1,2]", "5", "131072", "1", "\"" KEY "0\""),
        F("420", "[1,2]", "5", "131072", "1", "\"0" KEY "\""),
        F("420", "[1,2]", "5", "131072", "1",
          "\"A0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\""),
        FIELDS(TAIL),
        FIELDS(TAIL ",\"size\":5,\"chunk\":131072,\"height\":1"),
        FIELDS(REGULAR ",\"volatile\":1"),
        FIELDS(REGULAR ",\"volatile\":null"),
        FIELDS(REGULAR ",\"owner\":0"),
        FIELDS(REGULAR ",\"mode\":420"),
        FIELDS(REGULAR ",\"\":1"),
        FIELDS(REGULAR ",\"\\u001b[31m\":1")};
    struct bench *b = *state;

    assert_int_equal(decode_text(b, F("420", "[1,2]", "5", "131072", "1", K), 1), 0);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        assert_int_equal(decode_text(b, tables[i], 1), -EBADMSG);
}

static void huge_catalogs_are_refused_before_they_cost_much(void **state)
{
    struct bench *b = *state;
    CLEANUP_BUFFER struct buffer json = {0};

    /* a list too many values long */
    assert_int_equal(buffer_append_text(&json, "{\"next_id\":100,\"files\":[0"), 0);
    for (unsigned i = 0; i < 1000000; i++)
        assert_int_equal(buffer_append_text(&json, ",0"), 0);
    assert_int_equal(buffer_append_text(&json, "]}"), 0);
    assert_int_equal(decode(b, json.data, json.size, 0, NULL), -EBADMSG);

    /* deep */
    json.size = 0;
    for (unsigned i = 0; i < 700000; i++)
        assert_int_equal(buffer_append_text(&json, "["), 0);
    assert_int_equal(decode(b, json.data, json.size, 0, NULL), -EBADMSG);

    /* beyond 32 MiB, of a few KiB that are stored */
    json.size = 0;
    assert_int_equal(buffer_append_text(&json, TABLE("")), 0);
    size_t plain = json.size;
    assert_int_equal(buffer_resize(&json, 32u << 20), 0);
    memset(json.data + plain, ' ', json.size - plain);
    assert_int_equal(decode(b, json.data, json.size, 0, NULL), 0);
    assert_int_equal(buffer_append_text(&json, " "), 0);
    assert_int_equal(decode(b, json.data, json.size, 0, NULL), -EBADMSG);

    /* a file too many */
    json.size = 0;
    assert_int_equal(buffer_append_text(&json, "{\"next_id\":100000,\"files\":["), 0);
    for (unsigned i = 0; i <= CATALOG_FILES_MAX; i++)
        assert_int_equal(buffer_printf(&json, "%s" FOLDER_AT("%u", "%u"), i ? "," : "", i + 2, i),
                         0);
    assert_int_equal(buffer_append_text(&json, "]}"), 0);
    assert_int_equal(decode(b, json.data, json.size, 0, NULL), -EBADMSG);
}

static int decode_bytes(struct bench *b, struct object_key key, const void *data, size_t size)
{
    CLEANUP_CATALOG struct catalog *c = NULL;
    struct object_ref ref = {.key = key};
    assert_int_equal(codec_digest(b->codec, data, size, &ref.id), 0);
    return catalog_decode(b->codec, &ref, data, size, &c);
}

static void cut_and_changed_catalogs_are_refused(void **state)
{
    struct bench *b = *state;
    CLEANUP_CATALOG struct catalog *c = NULL;
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref ref;
    uint8_t noise[300];

    assert_int_equal(decode(b, TABLE(FILE_AT("2", "a")), strlen(TABLE(FILE_AT("2", "a"))), 1, &c),
                     0);
    assert_int_equal(catalog_encode(b->codec, &secret, c, &object, &ref), 0);
    assert_int_equal(decode_bytes(b, ref.key, object.data, object.size), 0);
    for (size_t size = 0; size < object.size; size++)
        assert_int_equal(decode_bytes(b, ref.key, object.data, size), -EBADMSG);
    for (size_t bit = 0; bit < 8 * object.size; bit++) {
        object.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(decode_bytes(b, ref.key, object.data, object.size), -EBADMSG);
        object.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (unsigned round = 0; round < 500; round++) {
        size_t size = below(b, sizeof noise);
        test_random_fill(&b->seed, noise, size);
        if (size > 8 && round % 2)
            memcpy(noise, object.data, 8);
        assert_int_equal(decode_bytes(b, ref.key, noise, size), -EBADMSG);
    }
}

static void sealed_noise_is_no_catalog(void **state)
{
    struct bench *b = *state;
    uint8_t clear[200], plain[200];

    for (unsigned round = 0; round < 2000; round++) {
        CLEANUP_BUFFER struct buffer object = {0};
        CLEANUP_CATALOG struct catalog *c = NULL;
        struct object_ref ref;
        size_t clear_size = below(b, sizeof clear), plain_size = below(b, sizeof plain);

        test_random_fill(&b->seed, clear, sizeof clear);
        test_random_fill(&b->seed, plain, sizeof plain);
        if (round % 2) /* counts and lengths that could be */
            put_u32(clear, below(b, 6));
        if (round % 4 == 3) {
            clear_size = 4 + 32 * clear[0];
            plain[0] = (uint8_t)below(b, 3);
            put_u32(plain + 1, below(b, 400));
            put_u32(plain + 5, below(b, 200));
        }
        assert_int_equal(codec_seal(b->codec, &secret, OBJECT_CATALOG, clear, clear_size, plain,
                                    plain_size, &object, &ref),
                         0);
        assert_int_equal(catalog_decode(b->codec, &ref, object.data, object.size, &c), -EBADMSG);
    }
}

/* Changes a good text at random. Whatever is still taken keeps all rules: it can be written again.
 */
static void what_is_taken_can_be_written_again(void **state)
{
    static const char text[] =
        TABLE(FOLDER_AT("3", "d") "," FILE_AT("2", "d/a") "," FILE_AT("4", "b\xc3\xa4"));
    static const char letters[] = "0123456789-.eE{}[]\",:/\\ abdtrun\xc3\xa4";
    struct bench *b = *state;
    unsigned taken = 0;

    for (unsigned round = 0; round < 6000; round++) {
        CLEANUP_CATALOG struct catalog *c = NULL;
        CLEANUP_CATALOG struct catalog *again = NULL;
        CLEANUP_BUFFER struct buffer object = {0};
        struct object_ref ref;
        char json[sizeof text];

        memcpy(json, text, sizeof text);
        for (unsigned changes = 1 + below(b, 2); changes > 0; changes--)
            json[below(b, sizeof text - 1)] =
                below(b, 8) ? letters[below(b, sizeof letters - 1)] : (char)below(b, 256);
        if (decode(b, json, sizeof text - 1 - (below(b, 8) ? 0 : below(b, 100)), 2, &c) < 0)
            continue;
        taken++;
        assert_int_equal(catalog_encode(b->codec, &secret, c, &object, &ref), 0);
        assert_int_equal(catalog_decode(b->codec, &ref, object.data, object.size, &again), 0);
        assert_int_equal(again->count, c->count);
    }
    assert_in_range(taken, 300, 5000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_examples_are_good),
        TEST(bad_paths_are_refused),
        TEST(too_long_paths_are_refused),
        TEST(bad_tables_are_refused),
        TEST(bad_fields_are_refused),
        TEST(huge_catalogs_are_refused_before_they_cost_much),
        TEST(cut_and_changed_catalogs_are_refused),
        TEST(sealed_noise_is_no_catalog),
        TEST(what_is_taken_can_be_written_again),
    };
    catalog_init_json();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
