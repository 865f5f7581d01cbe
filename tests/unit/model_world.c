/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The stack is log, then home, both through a store that fails; nothing but the catalog is read
 * again and again until it comes. What must not fail here (the log's own writing, a commit when the
 * home is well) fails the test. */
#include "tests/unit/model_world.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/keyring/walk.h"
#include "isrfs/store/faulty.h"
#include "isrfs/store/folder.h"
#include "isrfs/store/stack.h"
#include "tests/random.h"
#include "tests/unit/log_fixture.h"

#define TRIES 10000u

atomic_uint world_errors_logged;

/* They are expected by the thousand. */
void __wrap_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

void __wrap_log_error(const char *format, ...)
{
    (void)format;
    atomic_fetch_add(&world_errors_logged, 1);
}

void __wrap_log_warning(const char *format, ...)
{
    (void)format;
}

/* Threads cannot fail a test of cmocka's: they say so here. */
void world_wrong(struct world *w, const char *what, uint64_t at, int error)
{
    if (!atomic_exchange(&w->wrong, true))
        print_error("%s (at 0x%" PRIx64 ", %s); seed %" PRIu64 "\n", what, at, strerror(-error),
                    w->first_seed);
}

/* --- opening and closing --- */

static const struct faulty_config bad_home = {
    .get_error = 40000,
    .get_missing = 40000,
    .get_truncated = 40000,
    .get_flipped = 40000,
    .put_error = 50000,
    .put_torn = 10000,
    .barrier_error = 300000,
    .offline = 40000,
    .gone = 60000,
    .delay_us_max = 200,
};
/* This site's disk: what it holds cannot be read now and then. */
static const struct faulty_config bad_disk = {.get_error = 5000, .get_flipped = 5000};

static void open_stores(struct world *w)
{
    struct faulty_config config = bad_disk;
    config.seed = test_random(&w->seed);
    w->near = faulty_new(site_log_store(w->log), &config);
    struct store *const stores[] = {w->near, w->far};
    w->stack = stack_new(w->codec, &w->counters, stores, 2);
    assert_non_null(w->stack);
}

/* Opening needs the catalog, which may have to be asked for again and again. */
static void open_parcel(struct world *w)
{
    struct parcel_config config = {
        .codec = w->codec,
        .store = w->stack,
        .log = w->log,
        .secret = &w->secret,
        .pool = w->pool,
        .counters = &w->counters,
        .cache_bytes = 512 << 10,
    };
    int r = -EIO;
    for (unsigned i = 0; r < 0 && i < TRIES; i++) {
        r = parcel_open(&config, &w->root.current, &w->parcel);
        if (i % 100 == 99)
            faulty_resume(w->far); /* else what is gone stays so */
    }
    assert_int_equal(r, 0);
}

static void close_parcel(struct world *w)
{
    parcel_close(w->parcel);
    w->parcel = NULL;
    store_free(w->stack);
    store_free(w->near);
    w->stack = w->near = NULL;
}

void world_end(struct world *w)
{
    close_parcel(w);
    site_log_close(w->log);
}

uint64_t world_failures(struct world *w)
{
    return faulty_failures(w->far);
}

void world_calm(struct world *w)
{
    faulty_calm(w->far);
    faulty_calm(w->near);
}

void world_resume(struct world *w)
{
    faulty_resume(w->far);
    faulty_resume(w->near);
}

/* --- keeping --- */

static int commit_locked(struct world *w)
{
    int r = parcel_settle(w->parcel, true);
    if (r < 0)
        return r;
    parcel_freeze(w->parcel);
    struct site_root root = w->root;
    r = parcel_flush(w->parcel, true, &root);
    r = r < 0 ? r : site_log_put_root(w->log, &root);
    if (r == 0) {
        w->root = root;
        parcel_committed(w->parcel);
    }
    parcel_thaw(w->parcel);
    return r < 0 ? r : site_log_flush(w->log);
}

int world_commit(struct world *w)
{
    LOCK_SCOPE(&w->commit);
    int r = commit_locked(w);
    atomic_fetch_add(r < 0 ? &w->failed_commits : &w->commits, 1);
    return r;
}

/* The journal needs nothing but the log, which is well. */
int world_keep(struct world *w)
{
    int r = parcel_journal(w->parcel, false);
    r = r < 0 ? r : site_log_flush(w->log);
    if (r < 0 && r != -EAGAIN)
        world_wrong(w, "a sync fails", 0, r);
    return r;
}

/* What is not in the log is at home since an earlier round. */
static int carry(void *ctx, enum object_kind kind, const struct object_id *id, uint64_t index,
                 const void *data, size_t size)
{
    (void)kind, (void)index, (void)data, (void)size;
    struct world *w = ctx;
    CLEANUP_BUFFER struct buffer object = {0};
    int r = store_get(site_log_store(w->log), id, &object);
    if (r < 0)
        return r == -ENOENT ? store_get(w->home, id, &object) : r;
    r = -EIO;
    for (unsigned i = 0; r < 0 && i < TRIES; i++)
        r = store_put(w->far, id, object.data, object.size);
    return r;
}

/* Everything that the newest catalog reaches goes to the home, durably. */
static int carry_all(struct world *w)
{
    struct store *const stores[] = {site_log_store(w->log), w->home};
    CLEANUP_STORE struct store *stack = stack_new(w->codec, NULL, stores, 2);
    CLEANUP_CATALOG struct catalog *catalog = NULL;
    int r = catalog_load(stack, w->codec, &w->root.current, &catalog);
    struct walk_visitor visitor = {.object = carry, .ctx = w};
    for (size_t i = 0; r == 0 && i < catalog->count; i++)
        if (!object_id_is_hole(&catalog->entries[i].root.id))
            r = walk_tree(stack, w->codec, &catalog->entries[i].root.id, NULL, &visitor);
    r = r < 0 ? r : carry(w, OBJECT_CATALOG, &w->root.current.id, 0, NULL, 0);
    assert_int_equal(r, 0);
    return store_barrier(w->far);
}

/* Brings everything home and begins the log anew, so that all is read from there. */
void world_check_in(struct world *w)
{
    world_calm(w);
    assert_int_equal(world_commit(w), 0);
    world_resume(w);
    close_parcel(w);
    int r = -EIO;
    for (unsigned i = 0; r < 0 && i < TRIES; i++)
        r = carry_all(w); /* after a barrier that failed nothing counts as kept */
    assert_int_equal(r, 0);
    assert_int_equal(site_log_restart(w->log, &w->root), 0);
    site_log_close(w->log);
}

/* As a daemon that is killed after an fsync. */
void world_crash(struct world *w)
{
    if (world_keep(w) < 0) { /* a commit that was begun has to be finished */
        world_calm(w);
        assert_int_equal(world_commit(w), 0);
        world_resume(w);
    }
    world_end(w);
}

static void make_home(struct world *w)
{
    char uuid[STORE_UUID_HEX + 1];
    snprintf(w->home_path, sizeof w->home_path, "%s/home", w->path);
    assert_int_equal(folder_create(w->home_path, FOLDER_FANOUT_2, uuid), 0);
    struct folder_config config = {.path = w->home_path, .codec = w->codec};
    assert_int_equal(folder_open(&config, &w->home), 0);
    struct faulty_config faults = bad_home;
    faults.seed = test_random(&w->seed);
    w->far = faulty_new(w->home, &faults);
    assert_non_null(w->far);
    assert_int_equal(log_fixture_put_empty(w->codec, &w->secret, w->home, &w->root.current), 0);
}

int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    const char *seed = getenv("EXERCISE_SEED");
    w->seed = seed && *seed ? strtoull(seed, NULL, 10) | 1 : 20041129;
    w->first_seed = w->seed;
    print_message("seed %" PRIu64 "\n", w->seed);
    strcpy(w->path, "/tmp/test_model.XXXXXX");
    assert_non_null(mkdtemp(w->path));
    w->dirfd = open(w->path, O_RDONLY | O_DIRECTORY);
    struct codec_settings settings = {.method = CODEC_ZSTD};
    w->codec = codec_new(&settings);
    w->pool = pool_new(2, 64);
    w->secret.bytes[0] = 3;
    w->root.base_version = 1;
    pthread_mutex_init(&w->commit, NULL);
    for (unsigned i = 0; i < FILES; i++) {
        w->models[i] = model_file_new(FILE_MAX);
        assert_non_null(w->models[i]);
    }
    catalog_init_json();
    make_home(w);
    *state = w;
    return 0;
}

int world_teardown(void **state)
{
    struct world *w = *state;
    store_free(w->far);
    store_free(w->home);
    for (unsigned i = 0; i < FILES; i++)
        model_file_free(w->models[i]);
    pthread_mutex_destroy(&w->commit);
    pool_free(w->pool);
    codec_free(w->codec);
    close(w->dirfd);
    io_remove_tree(AT_FDCWD, w->path);
    free(w);
    return 0;
}

void world_begin(struct world *w)
{
    assert_int_equal(log_fixture_open(w->dirfd, w->codec, &w->log), 0);
    open_stores(w);
    open_parcel(w);
}
