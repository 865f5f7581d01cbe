/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/crash_parcel.h"

#include <errno.h>
#include <fcntl.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/keyring/walk.h"
#include "tests/unit/log_fixture.h"

void crash_parcel_init(struct crash_parcel *c)
{
    struct codec_settings settings = {.method = CODEC_ZSTD};
    *c = (struct crash_parcel){.codec = codec_new(&settings), .secret = {{3}}, .dirfd = -1};
    catalog_init_json();
}

void crash_parcel_free(struct crash_parcel *c)
{
    crash_parcel_close(c);
    codec_free(c->codec);
}

static int put_first_root(struct crash_parcel *c, struct site_root *root)
{
    *root = (struct site_root){.base_version = 1};
    int r = log_fixture_put_empty(c->codec, &c->secret, site_log_store(c->log), &root->current);
    r = r < 0 ? r : site_log_put_root(c->log, root);
    return r < 0 ? r : site_log_flush(c->log);
}

int crash_parcel_open(struct crash_parcel *c, const char *folder, bool make)
{
    struct site_root root;
    c->dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = log_fixture_open(c->dirfd, c->codec, &c->log);
    if (r < 0)
        return r;
    r = site_log_newest_root(c->log, &root);
    if (r == -ENOENT && make)
        r = put_first_root(c, &root);
    if (r < 0)
        return r;
    struct parcel_config config = {.codec = c->codec,
                                   .store = site_log_store(c->log),
                                   .log = c->log,
                                   .secret = &c->secret,
                                   .cache_bytes = 4 << 20,
                                   .dirty_bytes = 4 * CHUNK_SIZE_DEFAULT,
                                   .consistent = root.consistent,
                                   .state_fd = c->dirfd};
    return parcel_open(&config, &root.current, &c->parcel);
}

void crash_parcel_close(struct crash_parcel *c)
{
    parcel_close(steal_ptr(c->parcel));
    site_log_close(steal_ptr(c->log));
    cleanup_close(&c->dirfd);
    c->dirfd = -1;
}

int crash_parcel_keep(struct crash_parcel *c, bool consistent)
{
    int r = parcel_journal(c->parcel, consistent);
    return r < 0 ? r : site_log_flush(c->log);
}

int crash_parcel_commit(struct crash_parcel *c, bool wait, bool consistent)
{
    struct site_root root = {.base_version = 1, .consistent = consistent};
    parcel_freeze(c->parcel);
    int r = parcel_flush(c->parcel, wait, &root);
    r = r < 0 ? r : site_log_put_root(c->log, &root);
    if (r == 0)
        parcel_committed(c->parcel);
    parcel_thaw(c->parcel);
    return r < 0 ? r : site_log_flush(c->log);
}

static int put_again(void *ctx, enum object_kind kind, const struct object_id *id, uint64_t index,
                     const void *object, size_t size)
{
    (void)kind, (void)index, (void)object, (void)size;
    CLEANUP_BUFFER struct buffer copy = {0};
    int r = store_get(ctx, id, &copy);
    return r < 0 ? r : store_put(ctx, id, copy.data, copy.size);
}

static int put_all_again(struct store *store, struct codec *codec, const struct object_ref *ref)
{
    CLEANUP_CATALOG struct catalog *catalog = NULL;
    struct walk_visitor visitor = {.object = put_again, .ctx = store};
    int r = catalog_load(store, codec, ref, &catalog);
    r = r < 0 ? r : put_again(store, OBJECT_CATALOG, &ref->id, 0, NULL, 0);
    for (size_t i = 0; r == 0 && i < catalog->count; i++) {
        const struct catalog_entry *e = &catalog->entries[i];
        if (!e->is_folder && !object_id_is_hole(&e->root.id))
            r = walk_tree(store, codec, &e->root.id, NULL, &visitor);
    }
    return r;
}

int crash_parcel_trim(struct crash_parcel *c)
{
    uint64_t boundary;
    struct site_root root;
    struct store *store = site_log_store(c->log);
    int r = site_log_cut(c->log, &boundary);
    r = r < 0 ? r : crash_parcel_commit(c, true, false);
    r = r < 0 ? r : site_log_newest_root(c->log, &root);
    r = r < 0 ? r : put_all_again(store, c->codec, &root.current);
    r = r < 0 ? r : store_barrier(store);
    return r < 0 ? r : site_log_drop(c->log, boundary);
}
