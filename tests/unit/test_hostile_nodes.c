/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nodes made by somebody who may write to the store and has the keys: well-named, well encrypted,
 * and wrong behind that. Whoever reads them says -EBADMSG and touches nothing beyond. Run under the
 * address and undefined behaviour sanitizers this also shows that nothing is over-read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "isrfs/keyring/keyring.h"
#include "isrfs/keyring/walk.h"
#include "tests/random.h"
#include "tests/unit/memory_store.h"

static const struct object_secret secret = {{6, 6, 6}};

struct bench {
    struct codec *codec;
    struct store *store;
    uint64_t seed;
};

static int set_up(void **state)
{
    static const struct codec_settings settings = {.method = CODEC_ZSTD};
    struct bench *b = calloc(1, sizeof *b);

    b->codec = codec_new(&settings);
    b->store = memory_store_new(b->codec);
    b->seed = 1;
    *state = b;
    return b->store ? 0 : -1;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    store_free(b->store);
    codec_free(b->codec);
    free(b);
    return 0;
}

static unsigned below(struct bench *b, unsigned end)
{
    return (unsigned)test_random_below(&b->seed, end);
}

/* What a node is made of, right or wrong. */
struct recipe {
    unsigned level, patches, count; /* as its head says */
    unsigned ids, keys;             /* that really follow */
    unsigned extra;                 /* bytes after the ids that belong to nothing */
    bool hole_with_key;             /* entry 0 */
    bool patch_hole;                /* the last id */
    enum object_kind kind;
};

static struct recipe good_leaf(void)
{
    return (struct recipe){.count = 3, .ids = 3, .keys = 3, .kind = OBJECT_NODE};
}

/* Seals it with its right key and puts it under its right name. */
static struct object_ref plant(struct bench *b, const struct recipe *n)
{
    static uint8_t clear[4 + 300 * 32 + 64], keys[300 * 32];
    CLEANUP_BUFFER struct buffer object = {0};
    struct object_ref ref;

    test_random_fill(&b->seed, clear, sizeof clear);
    test_random_fill(&b->seed, keys, sizeof keys);
    clear[0] = (uint8_t)n->level;
    clear[1] = (uint8_t)n->patches;
    put_u16(clear + 2, (uint16_t)n->count);
    if (n->hole_with_key)
        memset(clear + 4, 0, 32);
    if (n->patch_hole)
        memset(clear + 4 + 32 * (n->ids - 1), 0, 32);
    assert_int_equal(codec_seal(b->codec, &secret, n->kind, clear, 4 + 32 * n->ids + n->extra, keys,
                                32 * n->keys, &object, &ref),
                     0);
    assert_int_equal(store_put(b->store, &ref.id, object.data, object.size), 0);
    return ref;
}

static int look_up(struct bench *b, const struct object_ref *root, unsigned height)
{
    struct keyring_config config = {.codec = b->codec, .store = b->store};
    struct keyring *k = keyring_new(&config, height, root);
    struct object_ref ref;

    int r = keyring_lookup(k, 0, &ref);
    keyring_free(k);
    return r;
}

static int ignore(void *ctx, enum object_kind kind, const struct object_id *id, uint64_t index,
                  const void *object, size_t size)
{
    (void)ctx, (void)kind, (void)id, (void)index, (void)object, (void)size;
    return 0;
}

static int walk(struct bench *b, const struct object_id *root)
{
    const struct walk_visitor visitor = {.object = ignore};
    return walk_tree(b->store, b->codec, root, NULL, &visitor);
}

/* With and without keys, as the root of a tree of one level. */
static void assert_refused(struct bench *b, struct recipe n)
{
    struct object_ref ref = plant(b, &n);
    assert_int_equal(look_up(b, &ref, 1), -EBADMSG);
    /* keys and the level that a parent would ask for are not seen by a walk */
    if (!n.hole_with_key && (n.level == 0 || n.level > 7 || n.patches > 0))
        assert_int_equal(walk(b, &ref.id), -EBADMSG);
}

static void wrong_nodes_are_refused(void **state)
{
    struct bench *b = *state;
    struct recipe n = good_leaf();
    struct object_ref ref = plant(b, &n);

    assert_int_equal(look_up(b, &ref, 1), 0); /* so it is what follows that is refused */
    assert_int_equal(walk(b, &ref.id), 0);
    assert_int_equal(look_up(b, &ref, 2), -EBADMSG);
#define WITH(...)                                                                                  \
    ((struct recipe){.count = 3, .ids = 3, .keys = 3, .kind = OBJECT_NODE, __VA_ARGS__})
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Woverride-init\"")
        assert_refused(b, WITH(.level = 1));
    assert_refused(b, WITH(.level = 8));
    assert_refused(b, WITH(.level = 255));
    assert_refused(b, WITH(.count = 0, .ids = 0, .keys = 0));
    assert_refused(b, WITH(.count = 257, .ids = 257, .keys = 257));
    assert_refused(b, WITH(.count = 65535));
    assert_refused(b, WITH(.count = 4));
    assert_refused(b, WITH(.count = 2));
    assert_refused(b, WITH(.keys = 2));
    assert_refused(b, WITH(.keys = 4));
    assert_refused(b, WITH(.ids = 4));
    assert_refused(b, WITH(.ids = 2));
    assert_refused(b, WITH(.extra = 1));
    assert_refused(b, WITH(.extra = 64));
    assert_refused(b, WITH(.hole_with_key = true));
    assert_refused(b, WITH(.patches = 5, .ids = 8, .keys = 8));
    assert_refused(b, WITH(.patches = 255));
    assert_refused(b, WITH(.patches = 1));
    assert_refused(b, WITH(.level = 1, .patches = 1, .ids = 4, .keys = 4));
    assert_refused(b, WITH(.patches = 1, .ids = 4, .keys = 4, .patch_hole = true));
    assert_refused(b, WITH(.kind = OBJECT_CHUNK));
    assert_refused(b, WITH(.kind = OBJECT_CATALOG));
    assert_refused(b, WITH(.kind = OBJECT_PATCH));
    _Pragma("GCC diagnostic pop")
}

static void patches_are_known_but_not_read(void **state)
{
    struct bench *b = *state;
    const struct object_id chunk = {{1}};

    for (unsigned patches = 1; patches <= 4; patches++) {
        struct recipe n = good_leaf();
        n.patches = patches;
        n.ids = n.keys = 3 + patches;
        struct object_ref leaf = plant(b, &n);
        assert_int_equal(look_up(b, &leaf, 1), -ENOTSUP);
        assert_int_equal(walk(b, &leaf.id), 0);

        /* next to it everything goes on */
        struct keyring_config config = {.codec = b->codec, .store = b->store, .secret = &secret};
        struct keyring *k = keyring_new(&config, 1, &leaf);
        struct object_ref ref = {.id = chunk};
        uint64_t found;
        assert_int_equal(keyring_set(k, 300, &ref), 0);
        assert_int_equal(keyring_lookup(k, 300, &ref), 0);
        assert_true(object_id_equal(&ref.id, &chunk));
        assert_int_equal(keyring_lookup(k, 255, &ref), -ENOTSUP);
        assert_int_equal(keyring_set(k, 5, &ref), -ENOTSUP);
        assert_int_equal(keyring_clear(k, 5, 300), -ENOTSUP);
        assert_int_equal(keyring_next(k, 0, 1000, true, &found), -ENOTSUP);
        assert_int_equal(keyring_next(k, 256, 1000, true, &found), 0);
        assert_int_equal(found, 300);
        keyring_free(k);
    }
}

/* Any head over any body: refused unless every rule, stated here once more, is kept. */
static void nodes_are_taken_exactly_if_all_rules_are_kept(void **state)
{
    static const unsigned counts[] = {0, 1, 2, 3, 255, 256, 257, 258, 4096, 65535};
    struct bench *b = *state;
    unsigned taken = 0;

    for (unsigned round = 0; round < 4000; round++) {
        struct recipe n = {.level = below(b, 8) ? 0 : below(b, 256),
                           .patches = below(b, 2) ? 0 : below(b, 7),
                           .count = counts[below(b, sizeof counts / sizeof *counts)],
                           .extra = below(b, 8) ? 0 : below(b, 64),
                           .kind = OBJECT_NODE};
        unsigned fit = n.count + n.patches < 290 ? n.count + n.patches : below(b, 290);
        n.ids = below(b, 8) ? fit : below(b, 290);
        n.keys = below(b, 8) ? fit : below(b, 290);
        n.hole_with_key = n.ids > 0 && below(b, 16) == 0;
        n.patch_hole = n.ids > 1 && below(b, 16) == 0;

        bool laid_out = n.count >= 1 && n.count <= 256 && n.patches <= 4 && n.extra == 0 &&
                        n.ids == n.count + n.patches && n.keys == n.ids;
        bool good = n.level == 0 && laid_out && !n.hole_with_key && !n.patch_hole;
        struct object_ref ref = plant(b, &n);
        assert_int_equal(look_up(b, &ref, 1), !good ? -EBADMSG : n.patches ? -ENOTSUP : 0);
        taken += good;
        walk(b, &ref.id); /* may say anything; must not read beyond */
    }
    assert_in_range(taken, 100, 3000);
}

/* Puts bytes under the name that they have. */
static struct object_id put_bytes(struct bench *b, const uint8_t *data, size_t size)
{
    struct object_id id;
    assert_int_equal(codec_digest(b->codec, data, size, &id), 0);
    assert_int_equal(store_put(b->store, &id, data, size), 0);
    return id;
}

static void cut_and_changed_nodes_are_refused(void **state)
{
    struct bench *b = *state;
    CLEANUP_BUFFER struct buffer object = {0};
    struct recipe n = good_leaf();
    struct object_ref good = plant(b, &n), bad = good;

    assert_int_equal(store_get(b->store, &good.id, &object), 0);
    for (size_t size = 1; size < object.size; size++) {
        bad.id = put_bytes(b, object.data, size);
        assert_int_equal(look_up(b, &bad, 1), -EBADMSG);
        assert_int_equal(walk(b, &bad.id), -EBADMSG);
    }
    for (size_t bit = 0; bit < 8 * object.size; bit += 3) {
        object.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bad.id = put_bytes(b, object.data, object.size);
        assert_int_equal(look_up(b, &bad, 1), -EBADMSG);
        walk(b, &bad.id);
        object.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (unsigned round = 0; round < 500; round++) {
        uint8_t noise[600];
        size_t size = 1 + below(b, sizeof noise - 1);
        test_random_fill(&b->seed, noise, size);
        if (size > 8 && round % 2)
            memcpy(noise, object.data, 8);
        bad.id = put_bytes(b, noise, size);
        assert_int_equal(look_up(b, &bad, 1), -EBADMSG);
        walk(b, &bad.id);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(wrong_nodes_are_refused),
        TEST(patches_are_known_but_not_read),
        TEST(nodes_are_taken_exactly_if_all_rules_are_kept),
        TEST(cut_and_changed_nodes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
