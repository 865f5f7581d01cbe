/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A whole life of a parcel at one site, from import over mounts that are killed to the last
 * check-in, with a home in a folder and a lock server: when the power goes before any operation, at
 * the site, at the home's machine or at both, then
 *
 *   - every version that the lock server has acknowledged can be read whole from the home;
 *   - what `isr ci` does afterwards brings home, and publishes, the parcel as it was at some moment
 *     not before the last fsync that had returned, every object of it good;
 *   - the site never forgets a lock that it holds.
 *
 * The site and the home are what is recorded. The lock server is a third machine, which does not
 * crash here: what it said to each command is kept beside the trace, and put back.
 *
 * CRASH_SEED=N   another workload       CRASH_FULL=1   more states, in ten minutes or so
 * CRASH_STATES=N   so many states */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "isrfs/base/io.h"
#include "isrfs/base/secret.h"
#include "isrfs/store/remote.h"
#include "isrfs/sync/checkin.h"
#include "isrfs/sync/commit.h"
#include "isrfs/sync/import.h"
#include "isrfs/sync/recover.h"
#include "isrfs/sync/verify.h"
#include "lockclient/lockclient.h"
#include "tests/random.h"
#include "tests/unit/crash_carrier.h"
#include "tests/unit/crash_run.h"

/* What the lock server had said when it was left; the history's event is the number of one. */
struct answer {
    struct crash_trace *server; /* its folder */
    uint64_t versions;
    bool held;
};

struct world {
    struct crash_run run;
    char machines[96], server[96], source_path[96];
    struct source source;
    struct site *site;
    struct checkout *checkout;
    struct parcel *parcel;
    struct committer *committer;
    struct carrier *carrier;
    struct answer *answers;
    long answer_count;
    bool recording;
};

static struct world *world; /* for the calls that the linker brings here */
/* --- the lock server --- */

static void note_answer(struct world *w, uint64_t versions, bool held)
{
    w->answers = reallocarray(w->answers, (size_t)w->answer_count + 1, sizeof *w->answers);
    assert_non_null(w->answers);
    w->answers[w->answer_count] = (struct answer){crash_trace_read(w->server), versions, held};
    crash_history_event(&w->run.history, w->answer_count++);
}
/* A process that was killed says nothing to the server. */
#define ASK(name, params, args, new_versions, new_held)                                            \
    int __real_lockclient_##name params;                                                           \
    int __wrap_lockclient_##name params;                                                           \
    int __wrap_lockclient_##name params                                                            \
    {                                                                                              \
        if (crash_trace_is_killed())                                                               \
            return -EHOSTUNREACH;                                                                  \
        int r = __real_lockclient_##name args;                                                     \
        if (r == 0 && world->recording)                                                            \
            note_answer(world, new_versions, new_held);                                            \
        return r;                                                                                  \
    }
ASK(create,
    (struct lockclient * lc, const char *parcel, const struct lockclient_create *c,
     struct lockclient_error *error),
    (lc, parcel, c, error), 1, false)
ASK(acquire,
    (struct lockclient * lc, const char *parcel, const char *nonce, struct lockclient_lock **ret,
     struct lockclient_holder *ret_holder, struct lockclient_error *error),
    (lc, parcel, nonce, ret, ret_holder, error),
    world->answers[world->run.history.now.event].versions, true)
ASK(publish,
    (struct lockclient * lc, const char *parcel, const char *nonce,
     const struct lockclient_publish *p, struct lockclient_error *error),
    (lc, parcel, nonce, p, error), p->base + 1, !p->release)
ASK(release,
    (struct lockclient * lc, const char *parcel, const char *nonce, struct lockclient_error *error),
    (lc, parcel, nonce, error), world->answers[world->run.history.now.event].versions, false)

/* --- what the site does --- */

/* Not so in a process that was killed, whose calls fail. */
static void must(int r, const struct failure *failure)
{
    if (r < 0 && !crash_trace_is_killed())
        fail_msg("%s: %s", strerror(-r), failure ? failure->text : "");
}

static void open_site(struct world *w)
{
    site_close(steal_ptr(w->site));
    must(site_open(&w->site), NULL);
}

static void close_all(struct world *w)
{
    carrier_free(steal_ptr(w->carrier));
    committer_free(steal_ptr(w->committer));
    parcel_close(steal_ptr(w->parcel));
    checkout_close(steal_ptr(w->checkout));
    site_close(steal_ptr(w->site));
}

static int import(struct world *w, struct failure *failure)
{
    char home[128];
    snprintf(home, sizeof home, "%s/home", w->machines);
    struct import_file file = {.path = w->source_path, .name = crash_model_names[0]};
    struct import_config config = {.source = &w->source, .src = home, .files = &file, .count = 1};
    struct import_result result = {0};
    open_site(w);
    int r = w->site ? import_parcel(w->site, &config, NULL, &result, failure) : -EIO;
    free(result.src);
    return r;
}

/* A mount; the first time, or after anything that ended the one before. */
static void mount_parcel(struct world *w)
{
    struct failure failure = {0};
    open_site(w);
    int r = checkout_open(w->site, &w->source, 0, &w->checkout, &failure);
    if (r == -EALREADY) /* what was there has been brought to its end: now anew */
        r = checkout_open(w->site, &w->source, 0, &w->checkout, &failure);
    must(r, &failure);
    must(checkout_parcel(w->checkout, 4 << 20, &w->parcel, &failure), &failure);
    w->committer = committer_new(w->checkout, w->parcel);
    assert_non_null(w->committer);
    w->carrier = crash_carrier_new(w->checkout, w->parcel, w->committer);
    assert_non_null(w->carrier);
    crash_run_go_on(&w->run, w->parcel);
}

static void keep(struct world *w, int r)
{
    must(r, NULL);
    if (r == 0)
        crash_history_acknowledge(&w->run.history);
}

static void work(struct world *w, int steps)
{
    for (int i = 0; i < steps && !crash_trace_is_killed(); i++) {
        if (test_random(&w->run.random) % 4 == 0) {
            keep(w, committer_sync(w->committer, false));
            continue;
        }
        must(crash_run_step(&w->run, w->parcel), NULL);
    }
}

/* As an unmount does, or (without RELEASE) a checkpoint. */
static void bring_home(struct world *w, bool release)
{
    if (crash_trace_is_killed())
        return;
    struct failure failure = {0};
    struct checkin_result result;
    int r = committer_commit(w->committer, release);
    keep(w, r);
    if (release) {
        carrier_free(steal_ptr(w->carrier));
        committer_free(steal_ptr(w->committer));
        parcel_close(steal_ptr(w->parcel));
    }
    if (r == 0)
        must(checkin(w->checkout, release, "a remark", NULL, &result, &failure), &failure);
}

/* As isr ci or (without RELEASE) isr checkpoint of what is not mounted. */
static int finish(struct world *w, bool release, struct failure *failure)
{
    struct checkin_result result;
    open_site(w);
    int r = w->site ? checkout_open(w->site, &w->source, CHECKOUT_EXISTING, &w->checkout, failure)
                    : -EIO;
    r = r < 0 ? r : recover(w->checkout, failure);
    r = r < 0 ? r : checkin(w->checkout, release, NULL, NULL, &result, failure);
    close_all(w);
    return r;
}

static void restart(struct world *w)
{
    close_all(w);
    crash_trace_revive();
}

static void live(struct world *w)
{
    struct failure failure = {0};
    note_answer(w, 0, false);
    for (long i = 4; w->answers[w->answer_count - 1].versions == 0; i += 7) {
        crash_trace_kill_after(i);
        must(import(w, &failure), &failure);
        restart(w);
    }
    crash_history_acknowledge(&w->run.history);
    for (int round = 0; round < (w->run.full ? 6 : 3); round++) {
        mount_parcel(w);
        for (int i = 0; i < 2; i++) { /* what the first has carried, the second drops */
            work(w, 4);
            crash_carrier_look();
        }
        bring_home(w, false);
        work(w, 6);
        restart(w);
        mount_parcel(w);
        crash_trace_kill_after((long)(test_random(&w->run.random) % 90));
        work(w, 4);
        crash_carrier_look();
        work(w, 4);
        bring_home(w, true);
        restart(w);
        int r = finish(w, round % 2 == 0, &failure);
        if (r != -EALREADY && failure.outcome != OUTCOME_UNKNOWN)
            must(r, &failure);
    }
    mount_parcel(w);
    work(w, 6);
    bring_home(w, true);
    close_all(w);
}

static struct crash_trace *record(struct world *w, void (*fn)(struct world *w))
{
    crash_trace_start(w->machines);
    w->recording = true;
    fn(w);
    w->recording = false;
    return crash_trace_stop();
}

/* --- checking --- */

/* Is the version (0: the newest) at home, with every byte? */
static bool is_whole(struct world *w, uint64_t version, const struct crash_mark *at, bool any)
{
    struct failure failure = {0};
    struct source source = w->source;
    source.version = version;
    open_site(w);
    int r = checkout_open(w->site, &source, CHECKOUT_READ_ONLY, &w->checkout, &failure);
    r = r < 0 ? r : checkout_parcel(w->checkout, 4 << 20, &w->parcel, &failure);
    uint64_t digest = 0;
    bool good = r == 0 && crash_model_read(w->parcel, w->run.found, &digest);
    struct verify_result result = {0};
    if (good && version == 0)
        r = verify(w->checkout, true, NULL, &result, &failure);
    close_all(w);
    const char *what = version ? "an acknowledged version" : "the newest version";
    if (r < 0 || !good || result.damaged || result.missing)
        return crash_run_wrong(&w->run, "%s: %s", what, r < 0 ? failure.text : "it is damaged");
    return crash_history_find(&w->run.history, at, digest, any) >= 0 ||
           crash_run_wrong(&w->run,
                           "%s is not as the parcel was at any moment since the last fsync", what);
}

/* Does the site end its check-out, if it has one? */
static bool can_finish(struct world *w, const struct answer *answer)
{
    struct failure failure = {0};
    int r = finish(w, true, &failure);
    if (r == 0 || r == -EALREADY || (failure.outcome == OUTCOME_UNKNOWN && !answer->held))
        return true;
    return crash_run_wrong(&w->run, "isr ci: %s", failure.text);
}

/* Is what lies there, with that answer of the lock server, what the promise allows? */
static bool holds(struct world *w, const struct crash_mark *at)
{
    const struct answer *answer = &w->answers[at->event];
    struct failure failure = {0};
    crash_disk_restore(answer->server, w->server);
    if (answer->versions == 0) {
        int r = import(w, &failure);
        close_all(w);
        if (r < 0)
            return crash_run_wrong(&w->run, "the import cannot be repeated: %s", failure.text);
        return is_whole(w, 0, at, true);
    }
    return is_whole(w, answer->versions, at, true) && can_finish(w, answer) &&
           is_whole(w, 0, at, false);
}

/* A crash of one machine or both. */
static struct crash_plan make_plan(struct world *w, const struct crash_trace *t, size_t first)
{
    static const char *const which[] = {NULL, "site", "home", NULL};
    struct crash_plan plan = crash_run_plan(&w->run, t, first);
    plan.only = which[test_random(&w->run.random) % 4];
    return plan;
}

static void finish_recorded(struct world *w)
{
    (void)finish(w, true, &(struct failure){0});
}

/* A crash in what isr ci does to the state that lies there now. */
static void crash_recovery(struct world *w, struct crash_tally *y, struct crash_mark at)
{
    long answers = w->answer_count;
    crash_disk_restore(w->answers[at.event].server, w->server);
    w->run.history.now = at;
    struct crash_trace *t = record(w, finish_recorded);
    for (int i = 0; i < 4; i++) {
        struct crash_plan plan = make_plan(w, t, t->initial);
        const struct crash_mark *mark = crash_history_at(&w->run.history, t, plan.prefix);
        crash_run_build(t, &plan, w->machines);
        crash_run_count(&w->run, y, t, &plan, holds(w, mark ? mark : &at));
    }
    crash_trace_free(t);
    while (w->answer_count > answers)
        crash_trace_free(w->answers[--w->answer_count].server);
}

static void crash_once(struct world *w, struct crash_tally *y, const struct crash_plan *plan)
{
    const struct crash_mark *at = crash_history_at(&w->run.history, w->run.trace, plan->prefix);
    crash_run_build(w->run.trace, plan, w->machines);
    crash_run_count(&w->run, y, w->run.trace, plan, holds(w, at));
    if (plan->fault == CRASH_NO_FAULT && y->states % 12 == 0) {
        crash_run_build(w->run.trace, plan, w->machines);
        crash_recovery(w, y, *at); /* recording moves the marks */
    }
}

/* --- tests --- */

static void make_source(struct world *w)
{
    struct crash_step s = {.kind = CRASH_WRITE_BYTES, .size = 300000, .offset = 7000, .byte = 9};
    crash_model_do(w->run.model, &s);
    crash_model_do(w->run.model, &s);
    const struct crash_model_file *f = &w->run.model->files[0];
    snprintf(w->source_path, sizeof w->source_path, "%s/source", w->run.path);
    must(io_replace(AT_FDCWD, w->source_path, f->now.bytes, f->now.size, 0600, false), NULL);
}

static int setup(void **state)
{
    struct world *w = world = calloc(1, sizeof *w);
    crash_run_init(&w->run);
    w->run.files = CRASH_MODEL_FILES - 1; /* no memory: it is published of a suspended machine */
    snprintf(w->machines, sizeof w->machines, "%s/machines", w->run.path);
    snprintf(w->server, sizeof w->server, "%s/server", w->run.path);
    char site[128];
    snprintf(site, sizeof site, "%s/site", w->machines);
    setenv("ISR_HOME", site, 1);
    must(io_mkdir(AT_FDCWD, w->machines, 0700), NULL);
    must(io_mkdir(AT_FDCWD, w->server, 0700), NULL);
    w->source =
        (struct source){.server = w->server, .user = (char *)"tester", .parcel = (char *)"vm"};
    make_source(w);
    crash_history_init(&w->run.history, crash_model_digest(w->run.model));
    w->run.trace = record(w, live);
    print_message("seed %llu: %zu operations on the disks, %ld moments, %llu versions\n",
                  (unsigned long long)w->run.seed, w->run.trace->count, w->run.history.moment_count,
                  (unsigned long long)w->answers[w->answer_count - 1].versions);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (long i = 0; i < w->answer_count; i++)
        crash_trace_free(w->answers[i].server);
    free(w->answers);
    crash_run_free(&w->run);
    free(w);
    return 0;
}

static void a_power_loss_at_any_operation_loses_no_version_and_no_fsync(void **state)
{
    struct world *w = *state;
    struct crash_tally y = {0};
    size_t wanted = crash_setting("CRASH_STATES", w->run.full ? 1800 : 120);
    size_t first = w->run.trace->initial + 1;
    size_t count = w->run.trace->count + 1 - first;
    for (size_t i = 0; i < wanted; i++) { /* one from each part of the trace */
        struct crash_plan plan = make_plan(w, w->run.trace, first);
        size_t from = i * count / wanted, end = (i + 1) * count / wanted;
        plan.prefix = first + from + (end > from ? test_random(&w->run.random) % (end - from) : 0);
        crash_once(w, &y, &plan);
    }
    print_message("%lu states, %lu broken\n", y.states, y.broken);
    crash_run_check(&y);
}

/* A flush is left out once the parcel has been imported: this has to be noticed. */
static void finds_fault(struct world *w, enum crash_fault fault)
{
    struct crash_tally y = {0};
    size_t imported = 0;
    for (const struct crash_mark *m = NULL; !m || w->answers[m->event].versions == 0; imported++)
        m = crash_history_at(&w->run.history, w->run.trace, imported);
    crash_quiet(true); /* what is broken is also logged */
    while (y.broken == 0 && y.states < 150) {
        struct crash_plan plan = make_plan(w, w->run.trace, imported);
        plan.fault = fault;
        plan.fault_from = imported;
        crash_once(w, &y, &plan);
    }
    crash_quiet(false);
    print_message("%lu states: %s\n", y.states, y.first);
    assert_true(y.broken > 0);
}

static void the_simulator_finds_objects_that_are_not_flushed(void **state)
{
    finds_fault(*state, CRASH_NO_FSYNC);
}

static void the_simulator_finds_a_barrier_that_flushes_nothing(void **state)
{
    finds_fault(*state, CRASH_NO_SYNCFS);
}

static void the_simulator_finds_names_that_are_not_flushed(void **state)
{
    finds_fault(*state, CRASH_NO_FOLDER_FSYNC);
}

int main(void)
{
    if (remote_is_needed("/tmp")) {
        puts("skipped: /tmp is on a network or FUSE file system, which another process writes");
        return 77;
    }
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_power_loss_at_any_operation_loses_no_version_and_no_fsync),
        TEST(the_simulator_finds_objects_that_are_not_flushed),
        TEST(the_simulator_finds_a_barrier_that_flushes_nothing),
        TEST(the_simulator_finds_names_that_are_not_flushed),
    };
    cmocka_set_test_filter(getenv("CRASH_TEST")); /* the name of one of them */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
