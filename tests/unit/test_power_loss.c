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
#include "tests/random.h"
#include "tests/unit/crash_parcel.h"
#include "tests/unit/crash_run.h"

#define STEPS 120

struct world {
    struct crash_run run;
    struct crash_parcel p;
    char folder[80]; /* of the parcel: what is recorded */
};

/* --- what is recorded --- */

static int open_parcel(struct world *w)
{
    return crash_parcel_open(&w->p, w->folder, true);
}

/* A new process, after the one before was killed. */
static void restart(struct world *w)
{
    crash_parcel_close(&w->p);
    crash_trace_revive();
    assert_int_equal(open_parcel(w), 0);
    crash_run_go_on(&w->run, w->p.parcel);
}

/* Processes that are killed while they make the log. */
static void make_log(struct world *w)
{
    crash_history_go_back(&w->run.history, 0);
    for (long i = 1; i < 8; i++) {
        crash_trace_kill_after(i);
        (void)open_parcel(w);
        crash_parcel_close(&w->p);
    }
    crash_trace_revive();
    assert_int_equal(open_parcel(w), 0);
    crash_history_acknowledge(&w->run.history); /* it has a root that was flushed */
}

/* Something that makes what was done durable. */
static int make_durable(struct world *w)
{
    uint64_t how = test_random(&w->run.random) % 8;
    if (how < 2)
        crash_run_stop(&w->run);
    switch (how) {
    case 0:
        return crash_parcel_keep(&w->p, true);
    case 1:
        return crash_parcel_commit(&w->p, true, true);
    case 2:
        return crash_parcel_commit(&w->p, true, false);
    case 3:
        return crash_parcel_trim(&w->p);
    default:
        return crash_parcel_keep(&w->p, false);
    }
}

static void run_workload(struct world *w)
{
    make_log(w);
    for (int i = 0; i < STEPS; i++) {
        uint64_t what = test_random(&w->run.random) % 17;
        if (crash_trace_is_killed()) {
            restart(w);
        } else if (what == 0) {
            crash_trace_kill_after((long)(test_random(&w->run.random) % 16));
        } else if (what < 7) {
            crash_trace_fail_flush(what == 6);
            if (what == 6 && test_random(&w->run.random) % 2 == 0)
                crash_trace_kill_after((long)(test_random(&w->run.random) % 8));
            int r = make_durable(w);
            crash_trace_fail_flush(false);
            assert_true(r == 0 || what == 6 || crash_trace_is_killed());
            if (r == 0)
                crash_history_acknowledge(&w->run.history);
        } else {
            int r = crash_run_step(&w->run, w->p.parcel);
            assert_true(r == 0 || crash_trace_is_killed());
        }
    }
    crash_parcel_close(&w->p);
    crash_trace_revive();
}

static struct crash_trace *record(struct world *w, void (*fn)(struct world *w))
{
    crash_trace_start(w->folder);
    fn(w);
    return crash_trace_stop();
}

/* --- checking --- */

/* Does the parcel go on from the state that it is in, and is that there after the next start? */
static bool goes_on(struct world *w)
{
    struct crash_step s = {.kind = CRASH_WRITE_BYTES, .size = 9000, .offset = 5000, .byte = 77};
    if (!w->run.found->files[0].there)
        crash_model_do(w->run.found, &s);
    crash_model_do(w->run.found, &s);
    bool stopped = test_random(&w->run.random) % 2 == 0;
    if (stopped)
        crash_model_stop(w->run.found);
    uint64_t wanted = crash_model_digest(w->run.found), digest;
    int r = crash_model_do_parcel(w->p.parcel, &s);
    struct parcel_attr attr;
    if (r == 0 && parcel_find(w->p.parcel, crash_model_names[0], &attr) == 0 && attr.size == 0)
        r = crash_model_do_parcel(w->p.parcel, &s);
    r = r < 0 ? r : crash_parcel_keep(&w->p, stopped);
    crash_parcel_close(&w->p);
    r = r < 0 ? r : open_parcel(w);
    if (r < 0)
        return crash_run_wrong(&w->run, "it cannot be used any more: %s", strerror(-r));
    return (crash_model_read(w->p.parcel, w->run.found, &digest) && digest == wanted) ||
           crash_run_wrong(&w->run, "what was written after recovery is lost");
}

/* Is what lies in the folder a state that the promise allows? */
static bool holds(struct world *w, const struct crash_mark *at)
{
    int r = open_parcel(w);
    bool good = r == 0 && crash_run_find(&w->run, w->p.parcel, at) >= 0;
    bool claims = good && parcel_is_consistent(w->p.parcel);
    if (r < 0)
        crash_run_wrong(&w->run, "the parcel cannot be opened: %s", strerror(-r));
    else if (!good)
        crash_run_wrong(&w->run, "it is as it was at no moment since number %ld", at->acknowledged);
    else if (claims &&
             !crash_history_consistent(&w->run.history, at, crash_model_digest(w->run.found)))
        good = crash_run_wrong(&w->run, "memory and disk are said to be of one moment");
    good = good && goes_on(w);
    crash_parcel_close(&w->p);
    return good;
}

static void open_and_commit(struct world *w)
{
    if (open_parcel(w) == 0)
        (void)crash_parcel_commit(&w->p, true, parcel_is_consistent(w->p.parcel));
    crash_parcel_close(&w->p);
}

/* How many states there are, without those that were as the one before. */
struct tally {
    struct crash_tally all;
    unsigned long same;
    uint64_t last_key;
    const struct crash_mark *last_mark;
};

/* A crash in the recovery from the state that lies there now. */
static void crash_recovery(struct world *w, struct tally *y, const struct crash_mark *at)
{
    struct crash_trace *t = record(w, open_and_commit);
    for (unsigned i = 0; i < 6 && t->count > t->initial; i++) {
        struct crash_plan plan = crash_run_plan(&w->run, t, t->initial + 1);
        crash_run_build(t, &plan, w->folder);
        crash_run_count(&w->run, &y->all, t, &plan, holds(w, at));
    }
    crash_trace_free(t);
}

static void crash_once(struct world *w, struct tally *y, const struct crash_plan *plan,
                       bool recovery_too)
{
    const struct crash_mark *at = crash_history_at(&w->run.history, w->run.trace, plan->prefix);
    struct crash_disk *d = crash_disk_new(w->run.trace, plan);
    bool same = crash_disk_key(d) == y->last_key && at == y->last_mark;
    y->last_key = crash_disk_key(d);
    y->last_mark = at;
    y->same += same;
    if (!same) {
        crash_disk_write(d, w->folder);
        crash_run_count(&w->run, &y->all, w->run.trace, plan, holds(w, at));
    }
    if (!same && recovery_too) {
        crash_disk_write(d, w->folder);
        crash_recovery(w, y, at);
    }
    crash_disk_free(d);
}

/* Crashes before every operation, in a few of the possible ways each: all if EACH is 0, else about
 * one in EACH. */
static struct tally crash_everywhere(struct world *w, enum crash_fault fault, unsigned each)
{
    struct tally y = {0};
    for (size_t prefix = w->run.trace->initial + 1; prefix <= w->run.trace->count; prefix++)
        for (unsigned c = 0; c < CRASH_CHOICES; c++) {
            struct crash_plan plan = {.prefix = prefix,
                                      .choice = (enum crash_choice)c,
                                      .fault = fault,
                                      .seed = test_random(&w->run.random) | 1};
            if (each && test_random(&w->run.random) % each)
                continue;
            crash_once(w, &y, &plan,
                       fault == CRASH_NO_FAULT && test_random(&w->run.random) % 8 == 0);
        }
    return y;
}

/* --- tests --- */

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    crash_run_init(&w->run);
    crash_parcel_init(&w->p);
    snprintf(w->folder, sizeof w->folder, "%s/parcel", w->run.path);
    assert_int_equal(io_mkdir(AT_FDCWD, w->folder, 0700), 0);
    crash_history_init(&w->run.history, crash_model_digest(w->run.model));
    w->run.trace = record(w, run_workload);
    print_message("seed %llu: %zu operations on the disk, %ld moments\n",
                  (unsigned long long)w->run.seed, w->run.trace->count,
                  w->run.history.moment_count);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    crash_parcel_free(&w->p);
    crash_run_free(&w->run);
    free(w);
    return 0;
}

static void the_simulator_sees_all_that_is_written(void **state)
{
    struct world *w = *state;
    struct crash_plan plan = {.prefix = w->run.trace->count, .choice = CRASH_KEEP_ALL, .seed = 1};
    struct crash_disk *d = crash_disk_new(w->run.trace, &plan);
    assert_true(crash_disk_is(d, w->folder));
    crash_disk_write(d, w->folder);
    assert_true(crash_disk_is(d, w->folder));
    crash_disk_free(d);
    assert_true(w->run.history.now.acknowledged > 0);
}

static void a_power_loss_at_any_operation_keeps_the_promise(void **state)
{
    struct world *w = *state;
    struct tally y = {0};
    for (int i = 0; i < (w->run.full ? 20 : 1) && y.all.broken == 0; i++) {
        y = crash_everywhere(w, CRASH_NO_FAULT, w->run.full ? 0 : 2);
        print_message("%lu states (%lu more were the same), %lu broken\n", y.all.states, y.same,
                      y.all.broken);
    }
    crash_run_check(&y.all);
    assert_true(y.all.states > 100);
}

/* The log leaves a flush out: this has to be noticed. */
static void finds_fault(struct world *w, enum crash_fault fault)
{
    crash_quiet(true); /* what is broken is also logged */
    struct tally y = crash_everywhere(w, fault, 8);
    crash_quiet(false);
    print_message("%lu states, %lu broken: %s\n", y.all.states, y.all.broken, y.all.first);
    assert_true(y.all.broken > 0);
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
