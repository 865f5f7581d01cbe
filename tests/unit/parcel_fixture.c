/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/parcel_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/io.h"
#include "isrfs/parcel/parcel_internal.h"
#include "tests/unit/log_fixture.h"
#include "tests/unit/memory_store.h"

static int far_get(struct store *s, const struct object_id *id, struct buffer *out)
{
    struct far_store *far = (struct far_store *)(void *)s;
    if (object_id_equal(id, &far->gone))
        return far->away ? -EHOSTDOWN : -ENOENT;
    int r = store_get(site_log_store(far->log), id, out);
    if (r != -ENOENT)
        return r;
    return far->away ? -EHOSTDOWN : store_get(far->home, id, out);
}

static int far_get_record(struct store *s, const char *name, struct buffer *out)
{
    (void)name, (void)out;
    return ((struct far_store *)(void *)s)->away ? -EHOSTDOWN : -ENOENT;
}

static const struct store_ops far_ops = {.get = far_get, .get_record = far_get_record};

struct parcel_config fixture_config(struct fixture *f)
{
    return (struct parcel_config){
        .codec = f->codec,
        .store = f->watch ? home_watch_store(f->watch) : &f->far.store,
        .watch = f->watch,
        .home_wait_ms = 1,
        .log = f->log,
        .secret = &f->secret,
        .pool = f->pool,
        .counters = &f->counters,
        .cache_bytes = 4 << 20,
        .dirty_bytes = f->dirty_bytes,
        .consistent = f->consistent,
        .state_fd = f->dirfd,
    };
}

void fixture_open(struct fixture *f)
{
    assert_int_equal(log_fixture_open(f->dirfd, f->codec, &f->log), 0);
    f->far = (struct far_store){
        .store = {.ops = &far_ops, .name = "far", .codec = f->codec, .checked = true},
        .log = f->log,
        .home = f->home,
    };
    struct home_watch_config watch_config = {
        .home = &f->far.store, .record = "versions/u/1", .probe_ms = 10};
    if (f->watched)
        assert_int_equal(home_watch_new(&watch_config, &f->watch), 0);
    struct parcel_config config = fixture_config(f);
    if (object_id_is_hole(&f->catalog.id))
        assert_int_equal(
            log_fixture_put_empty(f->codec, &f->secret, site_log_store(f->log), &f->catalog), 0);
    assert_int_equal(parcel_open(&config, &f->catalog, &f->parcel), 0);
}

static bool commit(struct fixture *f, bool wait, bool consistent)
{
    parcel_freeze(f->parcel);
    struct site_root root = {.consistent = consistent};
    assert_int_equal(parcel_flush(f->parcel, wait, &root), 0);
    assert_int_equal(site_log_put_root(f->log, &root), 0);
    parcel_committed(f->parcel);
    parcel_thaw(f->parcel);
    f->catalog = root.current;
    f->consistent = root.consistent;
    assert_int_equal(site_log_flush(f->log), 0);
    return root.partial;
}

void fixture_commit(struct fixture *f)
{
    assert_false(commit(f, true, false));
}

void fixture_stop(struct fixture *f)
{
    assert_int_equal(parcel_journal(f->parcel, true), 0);
    assert_int_equal(site_log_flush(f->log), 0);
}

void fixture_commit_stopped(struct fixture *f)
{
    assert_false(commit(f, true, true));
}

bool fixture_tidy(struct fixture *f)
{
    return commit(f, false, false);
}

static int carry(void *ctx, const struct object_id *id)
{
    struct fixture *f = ctx;
    struct buffer object = {0};
    int r = store_get(site_log_store(f->log), id, &object);
    r = r < 0 ? r : store_put(f->home, id, object.data, object.size);
    buffer_free(&object);
    return r;
}

void fixture_send_home(struct fixture *f)
{
    fixture_commit(f);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(site_log_each_object(f->log, carry, f), 0);
    struct site_root root = {.current = f->catalog, .contains = site_log_last_batch(f->log)};
    assert_int_equal(site_log_restart(f->log, &root), 0);
    fixture_reopen(f);
}

void fixture_keep(struct fixture *f)
{
    assert_int_equal(parcel_journal(f->parcel, false), 0);
    assert_int_equal(site_log_flush(f->log), 0);
}

void fixture_close(struct fixture *f)
{
    parcel_close(f->parcel);
    home_watch_free(steal_ptr(f->watch));
    site_log_close(f->log);
    f->parcel = NULL;
}

void fixture_reopen(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->path, "/tmp/test_parcel.XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->dirfd = open(f->path, O_RDONLY | O_DIRECTORY);
    struct codec_settings settings = {.method = CODEC_ZSTD};
    f->codec = codec_new(&settings);
    f->pool = pool_new(2, 64);
    f->home = memory_store_new(f->codec);
    f->secret.bytes[0] = 3;
    f->dirty_bytes = 1 << 20;
    f->random = 20040601;
    catalog_init_json();
    fixture_open(f);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    if (f->parcel)
        fixture_close(f);
    pool_free(f->pool);
    store_free(f->home);
    codec_free(f->codec);
    close(f->dirfd);
    io_remove_tree(AT_FDCWD, f->path);
    free(f);
    return 0;
}

void fixture_drain(struct fixture *f)
{
    prefetch_drain(f->parcel);
}

void fixture_await_waiter(struct fixture *f)
{
    struct home_watch_state now = {0};
    while (now.waiting == 0) {
        sched_yield();
        home_watch_state(f->watch, &now);
    }
}

uint64_t fixture_make(struct fixture *f, const char *name)
{
    struct parcel_attr attr;
    assert_int_equal(parcel_create(f->parcel, CATALOG_ROOT, name, 0600, &attr), 0);
    parcel_forget(f->parcel, attr.file_id, 1);
    return attr.file_id;
}

void fixture_put(struct fixture *f, uint64_t id, int byte, size_t size, uint64_t offset)
{
    CLEANUP_FREE uint8_t *data = malloc(size);
    memset(data, byte, size);
    assert_int_equal(parcel_write(f->parcel, id, data, size, offset), size);
}

uint8_t fixture_byte_at(struct fixture *f, uint64_t id, uint64_t offset)
{
    uint8_t byte;
    assert_int_equal(parcel_read(f->parcel, id, &byte, 1, offset), 1);
    return byte;
}

uint64_t fixture_size_of(struct fixture *f, uint64_t id)
{
    struct parcel_attr attr;
    assert_int_equal(parcel_getattr(f->parcel, id, &attr), 0);
    return attr.size;
}

void fixture_check_bound(struct fixture *f)
{
    struct parcel_usage usage;
    parcel_usage(f->parcel, &usage);
    assert_true(usage.dirty_bytes <= f->dirty_bytes + CHUNK);
}
