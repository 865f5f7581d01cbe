/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Catalogs that the program itself writes and reads. Hostile ones: test_hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "isrfs/keyring/walk.h"
#include "isrfs/parcel/catalog.h"

static const struct object_secret secret = {{3, 1, 4}};

static int set_up(void **state)
{
    static const struct codec_settings settings = {.method = CODEC_ZSTD};
    *state = codec_new(&settings);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    codec_free(*state);
    return 0;
}

static struct catalog_entry folder(uint64_t id, const char *path)
{
    return (struct catalog_entry){.file_id = id,
                                  .path = (char *)path,
                                  .is_folder = true,
                                  .mode = 0755,
                                  .mtime = {.tv_sec = 1700000000, .tv_nsec = 999999999}};
}

static struct catalog_entry file(uint64_t id, const char *path)
{
    struct catalog_entry e = {.file_id = id,
                              .path = (char *)path,
                              .mode = 0600,
                              .mtime = {.tv_sec = -5, .tv_nsec = 1},
                              .size = 1ull << 40,
                              .chunk_size = CHUNK_SIZE_DEFAULT,
                              .height = 3};
    memset(&e.root.key, 0xc0 + (int)(id % 16), sizeof e.root.key);
    memset(&e.root.id, 0x10, sizeof e.root.id);
    put_u64(e.root.id.bytes, id);
    return e;
}

static void add(struct catalog *c, struct catalog_entry e)
{
    assert_int_equal(catalog_add(c, &e), 0);
    if (c->next_file_id <= e.file_id)
        c->next_file_id = e.file_id + 1;
}

static struct catalog *table(void)
{
    struct catalog *c = catalog_new();
    struct catalog_entry empty = file(4, "settings/empty");
    struct catalog_entry largest = file((1ull << 53) - 1, "settings/\xc3\xa4 \"q\" \\ \x01.nvram");

    empty.size = 0;
    empty.height = 0;
    memset(&empty.root, 0, sizeof empty.root);
    empty.is_volatile = true;
    largest.size = INT64_MAX;
    largest.chunk_size = CHUNK_SIZE_MAX;
    largest.height = 8;
    add(c, file(2, "disk.img"));
    add(c, folder(7, "settings"));
    add(c, empty);
    add(c, folder(5, "settings/.isrfs"));
    add(c, largest);
    return c;
}

static void assert_same(const struct catalog *a, const struct catalog *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->next_file_id, b->next_file_id);
    for (size_t i = 0; i < a->count; i++) {
        const struct catalog_entry *x = &a->entries[i], *y = &b->entries[i];

        assert_int_equal(x->file_id, y->file_id);
        assert_string_equal(x->path, y->path);
        assert_int_equal(x->is_folder, y->is_folder);
        assert_int_equal(x->is_volatile, y->is_volatile);
        assert_int_equal(x->mode, y->mode);
        assert_int_equal(x->mtime.tv_sec, y->mtime.tv_sec);
        assert_int_equal(x->mtime.tv_nsec, y->mtime.tv_nsec);
        assert_int_equal(x->size, y->size);
        assert_int_equal(x->chunk_size, y->chunk_size);
        assert_int_equal(x->height, y->height);
        assert_memory_equal(&x->root, &y->root, sizeof x->root);
    }
}

/* Writes and reads it. */
static void assert_comes_back(struct codec *codec, const struct catalog *c, struct buffer *object)
{
    CLEANUP_CATALOG struct catalog *again = NULL;
    struct object_ref ref;

    assert_int_equal(catalog_encode(codec, &secret, c, object, &ref), 0);
    assert_int_equal(catalog_decode(codec, &ref, object->data, object->size, &again), 0);
    assert_same(c, again);
}

static void what_is_written_is_read_again(void **state)
{
    CLEANUP_CATALOG struct catalog *c = table();
    CLEANUP_BUFFER struct buffer object = {0};

    assert_comes_back(*state, c, &object);
    assert_null(memmem(object.data, object.size, "disk.img", 8));
    assert_null(memmem(object.data, object.size, &c->entries[0].root.key, 32));
}

static void an_empty_parcel_has_a_catalog(void **state)
{
    CLEANUP_CATALOG struct catalog *c = catalog_new();
    CLEANUP_BUFFER struct buffer object = {0};

    assert_comes_back(*state, c, &object);
}

static void equal_tables_give_equal_objects(void **state)
{
    CLEANUP_CATALOG struct catalog *a = table();
    CLEANUP_CATALOG struct catalog *b = table();
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref first, second;

    assert_int_equal(catalog_encode(*state, &secret, a, &object, &first), 0);
    assert_int_equal(catalog_encode(*state, &secret, b, &object, &second), 0);
    assert_memory_equal(&first, &second, sizeof first);
    b->entries[0].mode ^= 1;
    assert_int_equal(catalog_encode(*state, &secret, b, &object, &second), 0);
    assert_memory_not_equal(&first, &second, sizeof first);
}

static void roots_are_seen_without_a_key(void **state)
{
    CLEANUP_CATALOG struct catalog *c = table();
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref ref;
    size_t count;

    assert_int_equal(catalog_encode(*state, &secret, c, &object, &ref), 0);
    assert_int_equal(walk_catalog_count(object.data, object.size, &count), 0);
    assert_int_equal(count, 3);
    const size_t at[] = {0, 2, 4};
    for (size_t i = 0; i < count; i++) {
        struct object_id root = walk_catalog_root(object.data, i);
        assert_true(object_id_equal(&root, &c->entries[at[i]].root.id));
    }
    assert_int_equal(walk_catalog_count(object.data, 8 + 4 + 3 * 32 + 15, &count), -EBADMSG);
    assert_int_equal(walk_catalog_count(object.data, 8 + 3, &count), -EBADMSG);
    put_u32(object.data + 8, UINT32_MAX);
    assert_int_equal(walk_catalog_count(object.data, object.size, &count), -EBADMSG);
}

static void files_are_found_by_path(void **state)
{
    CLEANUP_CATALOG struct catalog *c = catalog_new();
    char path[32];

    (void)state;
    assert_null(catalog_find(c, "a"));
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(path, sizeof path, "%u", i * 7919 % 3000);
        add(c, folder(2 + i, path));
    }
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(path, sizeof path, "%u", i * 7919 % 3000);
        assert_int_equal(catalog_find(c, path)->file_id, 2 + i);
    }
    assert_null(catalog_find(c, "3000"));
    assert_null(catalog_find(c, ""));
}

static void names_are_what_the_format_allows(void **state)
{
    static const char *const good[] = {
        "a",   "...",    "..a",      ".a",           ".isrfs",           " ",
        "a\n", "\x7f",   "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf",     "\xee\x80\x80",
        "-rf", "a\\b",   "\xdf\xbf", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
        "*",   "C:\\a?", "%s",       "NUL"};
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "/",
                                      "a/b",
                                      "/a",
                                      "a/",
                                      "\x80",
                                      "a\xbf",
                                      "\xc0\xaf",
                                      "\xc1\xbf",
                                      "\xc3",
                                      "\xc3(",
                                      "\xe0\x80\xaf",
                                      "\xe0\x9f\xbf",
                                      "\xe2\x82",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x80\x80\xaf",
                                      "\xf0\x90\x80",
                                      "\xf0\x90\x80/",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff"};
    char longest[257];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(catalog_name_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(catalog_name_valid(bad[i]));
    memset(longest, 'x', sizeof longest);
    longest[256] = '\0';
    assert_false(catalog_name_valid(longest));
    longest[255] = '\0';
    assert_true(catalog_name_valid(longest));
}

static void assert_not_written(struct codec *codec, const struct catalog *c)
{
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref ref;
    assert_int_equal(catalog_encode(codec, &secret, c, &object, &ref), -EINVAL);
}

static void nothing_is_written_that_would_be_refused(void **state)
{
    struct catalog_entry (*const make[])(uint64_t, const char *) = {file, folder};
    static const char *const paths[] = {"disk.img", "a/../b", "nowhere/x", ".isrfs", "disk.img/x"};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        for (size_t k = 0; k < 2; k++) {
            CLEANUP_CATALOG struct catalog *c = table();
            add(c, make[k](9, paths[i]));
            assert_not_written(*state, c);
        }
    }
    CLEANUP_CATALOG struct catalog *c = table();
    struct catalog_entry *e = &c->entries[0], good = *e;
    e->mode = 01777;
    assert_not_written(*state, c);
    *e = good;
    e->chunk_size = 3 << 16;
    assert_not_written(*state, c);
    *e = good;
    e->height = 0;
    assert_not_written(*state, c);
    *e = good;
    e->file_id = 7;
    assert_not_written(*state, c);
    *e = good;
    c->next_file_id--;
    assert_not_written(*state, c);
}

static void a_full_table_is_written_and_one_more_file_is_not(void **state)
{
    CLEANUP_CATALOG struct catalog *c = catalog_new();
    CLEANUP_CATALOG struct catalog *again = NULL;
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref ref;
    char path[64] = "folder";

    add(c, folder(2, path));
    for (unsigned i = 1; i < CATALOG_FILES_MAX; i++) {
        snprintf(path, sizeof path, "folder/a name of some length, number %u", i);
        struct catalog_entry e = file(2 + i, path);
        e.is_volatile = true;
        add(c, e);
    }
    assert_int_equal(catalog_encode(*state, &secret, c, &object, &ref), 0);
    assert_int_equal(catalog_decode(*state, &ref, object.data, object.size, &again), 0);
    assert_same(c, again);
    add(c, file(CATALOG_FILES_MAX + 2, "one more"));
    assert_int_equal(catalog_encode(*state, &secret, c, &object, &ref), -EFBIG);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read_again),
        TEST(an_empty_parcel_has_a_catalog),
        TEST(equal_tables_give_equal_objects),
        TEST(roots_are_seen_without_a_key),
        TEST(files_are_found_by_path),
        TEST(names_are_what_the_format_allows),
        TEST(nothing_is_written_that_would_be_refused),
        TEST(a_full_table_is_written_and_one_more_file_is_not),
    };
    catalog_init_json();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
