/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/crash_run.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "isrfs/base/io.h"
#include "tests/random.h"

void crash_run_init(struct crash_run *r)
{
    strcpy(r->path, "/tmp/test_power_loss.XXXXXX");
    assert_non_null(mkdtemp(r->path));
    r->model = calloc(1, sizeof *r->model);
    r->found = calloc(1, sizeof *r->found);
    assert_true(r->model && r->found);
    r->files = CRASH_MODEL_FILES;
    r->seed = crash_setting("CRASH_SEED", 20041101);
    r->full = crash_setting("CRASH_FULL", 0) != 0;
    r->random = r->seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    catalog_init_json();
}

void crash_run_free(struct crash_run *r)
{
    crash_trace_free(r->trace);
    crash_history_free(&r->history);
    io_remove_tree(AT_FDCWD, r->path);
    free(r->model);
    free(r->found);
}

int crash_run_step(struct crash_run *r, struct parcel *p)
{
    struct crash_step s = crash_model_step(&r->random, r->files);
    crash_model_do(r->model, &s);
    crash_history_begin(&r->history, crash_model_digest(r->model), false);
    return crash_model_do_parcel(p, &s);
}

void crash_run_stop(struct crash_run *r)
{
    bool consistent = crash_model_stop(r->model);
    crash_history_begin(&r->history, crash_model_digest(r->model), consistent);
}

long crash_run_find(struct crash_run *r, struct parcel *p, const struct crash_mark *at)
{
    uint64_t digest;
    return crash_model_read(p, r->found, &digest)
               ? crash_history_find(&r->history, at, digest, false)
               : -1;
}

void crash_run_go_on(struct crash_run *r, struct parcel *p)
{
    long m = crash_run_find(r, p, &r->history.now);
    assert_true(m >= 0);
    *r->model = *r->found;
    crash_history_go_back(&r->history, m);
}

bool crash_run_wrong(struct crash_run *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->why, sizeof r->why, format, args);
    va_end(args);
    return false;
}

struct crash_plan crash_run_plan(struct crash_run *r, const struct crash_trace *t, size_t first)
{
    return (struct crash_plan){
        .prefix = first + test_random(&r->random) % (t->count + 1 - first),
        .choice = (enum crash_choice)(test_random(&r->random) % CRASH_CHOICES),
        .seed = test_random(&r->random) | 1,
    };
}

void crash_run_build(const struct crash_trace *t, const struct crash_plan *plan, const char *path)
{
    struct crash_disk *d = crash_disk_new(t, plan);
    crash_disk_write(d, path);
    crash_disk_free(d);
}

void crash_run_count(const struct crash_run *r, struct crash_tally *y, const struct crash_trace *t,
                     const struct crash_plan *plan, bool good)
{
    y->states++;
    if (good || y->broken++ > 0)
        return;
    if (plan->fault == CRASH_NO_FAULT)
        crash_trace_print(t, plan->prefix);
    snprintf(y->first, sizeof y->first,
             "%s loses its power before operation %zu of %zu, %s of what was not flushed: %s",
             plan->only ? plan->only : "each machine", plan->prefix, t->count,
             crash_choice_names[plan->choice], r->why);
}

void crash_run_check(const struct crash_tally *y)
{
    if (y->broken)
        fail_msg("%s", y->first);
}
