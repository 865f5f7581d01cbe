/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promise of the site log when the power goes: a process writes, keeps, commits, has flushes
 * that fail, is killed and starts again; all that it asks of the disk is recorded, and a crash is
 * simulated before each operation, with what was not flushed there or not (crash_disk.h). What is
 * recovered must be the parcel as it was at some moment not before the last fsync that returned.
 *
 * CRASH_SEED=N   another workload       CRASH_FULL=1   many more states, for about ten minutes */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/parcel/parcel.h"
#include "tests/random.h"
#include "tests/unit/crash_disk.h"
#include "tests/unit/crash_history.h"
#include "tests/unit/crash_model.h"

#define STEPS 120

struct world {
    char path[64], parcel_path[80];
    struct codec *codec;
    struct object_secret secret;
    int dirfd;
    struct site_log *log;
    struct parcel *parcel;
    struct crash_model *model, *found;
    struct crash_history history;
    struct crash_trace *trace;
    uint64_t seed, random;
    bool full;
    char why[256]; /* what was wrong with the last state */
};

/* --- the parcel --- */

static int open_log(struct world *w)
{
    w->dirfd = open(w->parcel_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint8_t session[32] = {9};
    struct site_log_config config = {.dirfd = w->dirfd,
                                     .folder = "log",
                                     .session_key = session,
                                     .identity = "uuid nonce",
                                     .codec = w->codec};
    return site_log_open(&config, &w->log, NULL);
}

/* As the end of a process: nothing is written any more. */
static void close_all(struct world *w)
{
    parcel_close(steal_ptr(w->parcel));
    site_log_close(steal_ptr(w->log));
    cleanup_close(&w->dirfd);
}

/* The parcel as it is before anything was done. */
static int put_first_root(struct world *w, struct site_root *root)
{
    CLEANUP_CATALOG struct catalog *empty = catalog_new();
    CLEANUP_BUFFER struct buffer object = {0};
    empty->next_file_id = 2;
    *root = (struct site_root){.base_version = 1};
    int r = catalog_encode(w->codec, &w->secret, empty, &object, &root->current);
    r = r < 0 ? r : store_put(site_log_store(w->log), &root->current.id, object.data, object.size);
    r = r < 0 ? r : site_log_put_root(w->log, root);
    return r < 0 ? r : site_log_flush(w->log);
}

static int open_parcel(struct world *w)
{
    struct site_root root;
    int r = open_log(w);
    if (r < 0)
        return r;
    r = site_log_newest_root(w->log, &root);
    if (r == -ENOENT)
        r = put_first_root(w, &root);
    if (r < 0)
        return r;
    struct parcel_config config = {.codec = w->codec,
                                   .store = site_log_store(w->log),
                                   .log = w->log,
                                   .secret = &w->secret,
                                   .cache_bytes = 4 << 20,
                                   .dirty_bytes = 4 * CHUNK_SIZE_DEFAULT};
    return parcel_open(&config, &root.current, &w->parcel);
}

static int keep(struct world *w)
{
    int r = parcel_journal(w->parcel, false);
    return r < 0 ? r : site_log_flush(w->log);
}

static int commit(struct world *w)
{
    struct site_root root = {.base_version = 1};
    parcel_freeze(w->parcel);
    int r = parcel_flush(w->parcel, true, &root);
    r = r < 0 ? r : site_log_put_root(w->log, &root);
    if (r == 0)
        parcel_committed(w->parcel);
    parcel_thaw(w->parcel);
    return r < 0 ? r : site_log_flush(w->log);
}

/* --- what is recorded --- */

/* One step, which begins a new moment. */
static void do_step(struct world *w)
{
    struct crash_step s = crash_model_step(&w->random);
    crash_model_do(w->model, &s);
    crash_history_begin(&w->history, crash_model_digest(w->model));
    int r = crash_model_do_parcel(w->parcel, &s);
    assert_true(r == 0 || crash_trace_is_killed());
}

/* The moment that the parcel is at now, not before the last that was acknowledged; -1: none. */
static long find_moment(struct world *w, const struct crash_mark *at)
{
    uint64_t digest;
    return crash_model_read(w->parcel, w->found, &digest)
               ? crash_history_find(&w->history, at, digest, false)
               : -1;
}

/* A new process, after the one before was killed. */
static void restart(struct world *w)
{
    close_all(w);
    crash_trace_revive();
    assert_int_equal(open_parcel(w), 0);
    long m = find_moment(w, &w->history.now);
    assert_true(m >= 0);
    *w->model = *w->found;
    crash_history_go_back(&w->history, m);
}

/* Processes that are killed while they make the log. */
static void make_log(struct world *w)
{
    crash_history_go_back(&w->history, 0);
    for (long i = 1; i < 8; i++) {
        crash_trace_kill_after(i);
        (void)open_parcel(w);
        close_all(w);
    }
    crash_trace_revive();
    assert_int_equal(open_parcel(w), 0);
    crash_history_acknowledge(&w->history); /* it has a root that was flushed */
}

static void run_workload(struct world *w)
{
    make_log(w);
    for (int i = 0; i < STEPS; i++) {
        uint64_t what = test_random(&w->random) % 16;
        if (crash_trace_is_killed()) {
            restart(w);
        } else if (what == 0) {
            crash_trace_kill_after((long)(test_random(&w->random) % 16));
        } else if (what < 6) {
            if (what == 5)
                crash_trace_fail_flush();
            int r = what == 1 ? commit(w) : keep(w);
            assert_true(r == 0 || what == 5 || crash_trace_is_killed());
            if (r == 0)
                crash_history_acknowledge(&w->history);
        } else {
            do_step(w);
        }
    }
    close_all(w);
    crash_trace_revive();
}

static struct crash_trace *record(struct world *w, void (*fn)(struct world *w))
{
    crash_trace_start(w->parcel_path);
    fn(w);
    return crash_trace_stop();
}

/* --- checking --- */

/* Does the parcel go on from the state that it is in, and is that there after the next start? */
static bool goes_on(struct world *w)
{
    struct crash_step s = {.kind = CRASH_WRITE_BYTES, .size = 9000, .offset = 5000, .byte = 77};
    if (!w->found->files[0].there)
        crash_model_do(w->found, &s);
    crash_model_do(w->found, &s);
    uint64_t wanted = crash_model_digest(w->found), digest;
    int r = crash_model_do_parcel(w->parcel, &s);
    struct parcel_attr attr;
    if (r == 0 && parcel_find(w->parcel, crash_model_names[0], &attr) == 0 && attr.size == 0)
        r = crash_model_do_parcel(w->parcel, &s);
    r = r < 0 ? r : keep(w);
    close_all(w);
    r = r < 0 ? r : open_parcel(w);
    if (r < 0)
        snprintf(w->why, sizeof w->why, "it cannot be used any more: %s", strerror(-r));
    else if (!crash_model_read(w->parcel, w->found, &digest) || digest != wanted)
        snprintf(w->why, sizeof w->why, "what was written after recovery is lost");
    else
        return true;
    return false;
}

/* Is what lies at parcel_path a state that the promise allows? */
static bool holds(struct world *w, const struct crash_mark *at)
{
    int r = open_parcel(w);
    bool good = r == 0 && find_moment(w, at) >= 0;
    if (r < 0)
        snprintf(w->why, sizeof w->why, "the parcel cannot be opened: %s", strerror(-r));
    else if (!good)
        snprintf(w->why, sizeof w->why, "it is as it was at no moment since number %ld",
                 at->acknowledged);
    good = good && goes_on(w);
    close_all(w);
    return good;
}

static void open_and_commit(struct world *w)
{
    if (open_parcel(w) == 0)
        (void)commit(w);
    close_all(w);
}

struct tally {
    unsigned long states, broken, same;
    uint64_t last_key; /* of the state before, */
    const struct crash_mark *last_mark;
    char first[512]; /* what was broken, */
    size_t first_prefix;
};

static void count(struct world *w, struct tally *y, const struct crash_trace *t,
                  const struct crash_plan *plan, const struct crash_mark *at)
{
    y->states++;
    if (holds(w, at))
        return;
    if (y->broken++ == 0) {
        y->first_prefix = plan->prefix;
        snprintf(y->first, sizeof y->first,
                 "crash before operation %zu of %zu, %s of what was not flushed: %s", plan->prefix,
                 t->count, crash_choice_names[plan->choice], w->why);
    }
}

/* A crash in the recovery from the state that lies there now. */
static void crash_recovery(struct world *w, struct tally *y, const struct crash_mark *at)
{
    struct crash_trace *t = record(w, open_and_commit);
    for (unsigned i = 0; i < 6 && t->count > t->initial; i++) {
        struct crash_plan plan = {
            .prefix = t->initial + 1 + test_random(&w->random) % (t->count - t->initial),
            .choice = (enum crash_choice)(test_random(&w->random) % CRASH_CHOICES),
            .seed = test_random(&w->random) | 1,
        };
        struct crash_disk *d = crash_disk_new(t, &plan);
        crash_disk_write(d, w->parcel_path);
        crash_disk_free(d);
        count(w, y, t, &plan, at);
    }
    crash_trace_free(t);
}

static void crash_once(struct world *w, struct tally *y, const struct crash_plan *plan,
                       bool recovery_too)
{
    const struct crash_mark *at = crash_history_at(&w->history, w->trace, plan->prefix);
    struct crash_disk *d = crash_disk_new(w->trace, plan);
    bool same = crash_disk_key(d) == y->last_key && at == y->last_mark;
    y->last_key = crash_disk_key(d);
    y->last_mark = at;
    y->same += same;
    if (!same) {
        crash_disk_write(d, w->parcel_path);
        count(w, y, w->trace, plan, at);
    }
    if (!same && recovery_too) {
        crash_disk_write(d, w->parcel_path);
        crash_recovery(w, y, at);
    }
    crash_disk_free(d);
}

/* Crashes before every operation, in a few of the possible ways each: all if EACH is 0, else about
 * one in EACH. */
static struct tally crash_everywhere(struct world *w, enum crash_fault fault, unsigned each)
{
    struct tally y = {0};
    for (size_t prefix = w->trace->initial + 1; prefix <= w->trace->count; prefix++)
        for (unsigned c = 0; c < CRASH_CHOICES; c++) {
            struct crash_plan plan = {.prefix = prefix,
                                      .choice = (enum crash_choice)c,
                                      .fault = fault,
                                      .seed = test_random(&w->random) | 1};
            if (each && test_random(&w->random) % each)
                continue;
            crash_once(w, &y, &plan, fault == CRASH_NO_FAULT && test_random(&w->random) % 8 == 0);
        }
    return y;
}

/* --- tests --- */

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->dirfd = -1;
    strcpy(w->path, "/tmp/test_power_loss.XXXXXX");
    assert_non_null(mkdtemp(w->path));
    snprintf(w->parcel_path, sizeof w->parcel_path, "%s/parcel", w->path);
    assert_int_equal(io_mkdir(AT_FDCWD, w->parcel_path, 0700), 0);
    struct codec_settings settings = {.method = CODEC_ZSTD};
    w->codec = codec_new(&settings);
    w->secret.bytes[0] = 3;
    w->model = calloc(1, sizeof *w->model);
    w->found = calloc(1, sizeof *w->found);
    w->seed = crash_setting("CRASH_SEED", 20041101);
    w->full = crash_setting("CRASH_FULL", 0) != 0;
    w->random = w->seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    catalog_init_json();
    crash_history_init(&w->history, crash_model_digest(w->model));
    w->trace = record(w, run_workload);
    print_message("seed %llu: %zu operations on the disk, %ld moments\n",
                  (unsigned long long)w->seed, w->trace->count, w->history.moment_count);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    crash_trace_free(w->trace);
    crash_history_free(&w->history);
    io_remove_tree(AT_FDCWD, w->path);
    codec_free(w->codec);
    free(w->model);
    free(w->found);
    free(w);
    return 0;
}

static void the_simulator_sees_all_that_is_written(void **state)
{
    struct world *w = *state;
    struct crash_plan plan = {.prefix = w->trace->count, .choice = CRASH_KEEP_ALL, .seed = 1};
    struct crash_disk *d = crash_disk_new(w->trace, &plan);
    assert_true(crash_disk_is(d, w->parcel_path));
    crash_disk_write(d, w->parcel_path);
    assert_true(crash_disk_is(d, w->parcel_path));
    crash_disk_free(d);
    assert_true(w->history.now.acknowledged > 0);
}

static void a_power_loss_at_any_operation_keeps_the_promise(void **state)
{
    struct world *w = *state;
    struct tally y = {0};
    for (int i = 0; i < (w->full ? 20 : 1) && y.broken == 0; i++) {
        y = crash_everywhere(w, CRASH_NO_FAULT, w->full ? 0 : 2);
        print_message("%lu states (%lu more were the same), %lu broken\n", y.states, y.same,
                      y.broken);
    }
    if (y.broken) {
        crash_trace_print(w->trace, y.first_prefix);
        fail_msg("%s", y.first);
    }
    assert_true(y.states > 100);
}

/* The log leaves a flush out: this has to be noticed. */
static void finds_fault(struct world *w, enum crash_fault fault)
{
    crash_quiet(true); /* what is broken is also logged */
    struct tally y = crash_everywhere(w, fault, 8);
    crash_quiet(false);
    print_message("%lu states, %lu broken: %s\n", y.states, y.broken, y.first);
    assert_true(y.broken > 0);
}

static void the_simulator_finds_a_log_that_is_not_flushed(void **state)
{
    finds_fault(*state, CRASH_NO_FDATASYNC);
}

static void the_simulator_finds_a_segment_whose_name_is_not_flushed(void **state)
{
    finds_fault(*state, CRASH_NO_FOLDER_FSYNC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_simulator_sees_all_that_is_written),
        TEST(a_power_loss_at_any_operation_keeps_the_promise),
        TEST(the_simulator_finds_a_log_that_is_not_flushed),
        TEST(the_simulator_finds_a_segment_whose_name_is_not_flushed),
    };
    cmocka_set_test_filter(getenv("CRASH_TEST")); /* the name of one of them */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
