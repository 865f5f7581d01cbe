/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/seeded_log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "isrfs/base/io.h"

int seeded_log_setup(void **state)
{
    struct seeded_log *f = calloc(1, sizeof *f);
    strcpy(f->path, "/tmp/test_log.XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->dirfd = open(f->path, O_RDONLY | O_DIRECTORY);
    struct codec_settings settings = {.method = CODEC_STORED};
    f->codec = codec_new(&settings);
    memset(f->session, 7, sizeof f->session);
    *state = f;
    return 0;
}

int seeded_log_teardown(void **state)
{
    struct seeded_log *f = *state;
    close(f->dirfd);
    io_remove_tree(AT_FDCWD, f->path);
    codec_free(f->codec);
    free(f);
    return 0;
}

int seeded_log_try_open(struct seeded_log *f, struct site_log **ret, struct site_log_found *found)
{
    struct site_log_config config = {
        .dirfd = f->dirfd,
        .folder = "log",
        .session_key = f->session,
        .identity = "uuid nonce",
        .codec = f->codec,
    };
    return site_log_open(&config, ret, found);
}

struct site_log *seeded_log_open(struct seeded_log *f, struct site_log_found *found)
{
    struct site_log *log = NULL;
    assert_int_equal(seeded_log_try_open(f, &log, found), 0);
    return log;
}

int seeded_log_try_put(struct seeded_log *f, struct site_log *log, unsigned seed, size_t size,
                       struct object_ref *ret)
{
    struct object_secret secret = {{1}};
    uint8_t *chunk = malloc(size);
    for (size_t i = 0; i < size; i++)
        chunk[i] = (uint8_t)(((seed + 1) * 2654435761u >> (i % 24)) ^ (i * seed >> 3) ^ i >> 8);
    struct buffer object = {0};
    assert_int_equal(codec_encode_chunk(f->codec, &secret, chunk, size, &object, ret), 0);
    int r = store_put(site_log_store(log), &ret->id, object.data, object.size);
    buffer_free(&object);
    free(chunk);
    return r;
}

struct object_ref seeded_log_put(struct seeded_log *f, struct site_log *log, unsigned seed,
                                 size_t size)
{
    struct object_ref ref;
    assert_int_equal(seeded_log_try_put(f, log, seed, size, &ref), 0);
    return ref;
}

bool seeded_log_has(struct site_log *log, const struct object_ref *ref)
{
    struct buffer object = {0};
    int r = store_get(site_log_store(log), &ref->id, &object);
    buffer_free(&object);
    return r == 0;
}

void seeded_log_put_root(struct site_log *log, uint64_t version)
{
    struct site_root root = {.base_version = version, .consistent = true};
    memset(&root.current, (int)version, sizeof root.current);
    assert_int_equal(site_log_put_root(log, &root), 0);
    assert_int_equal(site_log_flush(log), 0);
}

uint64_t seeded_log_newest(struct site_log *log)
{
    struct site_root root = {0};
    assert_int_equal(site_log_newest_root(log, &root), 0);
    return root.base_version;
}
