/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promise of the journal, for a process that dies, and for a disk that fails, at every single
 * operation that it does on the disk: afterwards the parcel is as it was after some step of the
 * workload, not before the last one that was acknowledged as durable.
 *
 * The calls of base/io.h that change the disk are wrapped by the linker: the one with number
 * `fault.at` does not happen, or only by half, and ends the process or gives an error.
 *
 * CRASH_SEED=N   another workload */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "isrfs/base/io.h"
#include "tests/random.h"
#include "tests/unit/crash_disk.h"
#include "tests/unit/crash_model.h"
#include "tests/unit/crash_parcel.h"

#define STEPS 100

/* --- the disk that fails --- */

enum fault_kind { FAULT_NONE, FAULT_KILL, FAULT_ERROR };

static struct {
    enum fault_kind kind;
    int error;
    long at;    /* the operation that fails; 0: none */
    long times; /* that one and those after it: so many */
    long done;  /* operations so far */
} fault;

/* True if this operation is one of them. */
static bool fails(void)
{
    ++fault.done;
    if (fault.at == 0 || fault.done < fault.at || fault.done >= fault.at + fault.times)
        return false;
    if (fault.kind == FAULT_KILL)
        _exit(99);
    return fault.kind == FAULT_ERROR;
}

int __real_io_write(int fd, const void *data, size_t size);
int __wrap_io_write(int fd, const void *data, size_t size);
int __wrap_io_write(int fd, const void *data, size_t size)
{
    if (fault.done + 1 == fault.at) /* half of it reaches the disk */
        __real_io_write(fd, data, size / 2);
    return fails() ? fault.error : __real_io_write(fd, data, size);
}

int __real_io_pwrite(int fd, const void *data, size_t size, off_t offset);
int __wrap_io_pwrite(int fd, const void *data, size_t size, off_t offset);
int __wrap_io_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    if (fault.done + 1 == fault.at)
        __real_io_pwrite(fd, data, size / 2, offset);
    return fails() ? fault.error : __real_io_pwrite(fd, data, size, offset);
}

#define WRAP(name, params, args)                                                                   \
    int __real_##name params;                                                                      \
    int __wrap_##name params;                                                                      \
    int __wrap_##name params                                                                       \
    {                                                                                              \
        return fails() ? fault.error : __real_##name args;                                         \
    }

/* A process that dies loses nothing that it has written: to flush it would only take time. */
static int flush(void)
{
    return fails() ? fault.error : 0;
}

int __wrap_io_fsync(int fd);
int __wrap_io_fsync(int fd)
{
    (void)fd;
    return flush();
}

int __wrap_io_fdatasync(int fd);
int __wrap_io_fdatasync(int fd)
{
    (void)fd;
    return flush();
}

int __wrap_io_fsync_dir(int dirfd, const char *path);
int __wrap_io_fsync_dir(int dirfd, const char *path)
{
    (void)dirfd, (void)path;
    return flush();
}

WRAP(io_syncfs, (int fd), (fd))
WRAP(io_ftruncate, (int fd, off_t size), (fd, size))
WRAP(io_allocate, (int fd, off_t size), (fd, size))
WRAP(io_mkdir, (int dirfd, const char *path, mode_t mode), (dirfd, path, mode))
WRAP(io_create, (int dirfd, const char *path, int flags, mode_t mode), (dirfd, path, flags, mode))
WRAP(io_open_write, (int dirfd, const char *path, int flags, mode_t mode),
     (dirfd, path, flags, mode))
WRAP(io_rename, (int from_dirfd, const char *from, int to_dirfd, const char *to),
     (from_dirfd, from, to_dirfd, to))
WRAP(io_unlink, (int dirfd, const char *path), (dirfd, path))
WRAP(io_rmdir, (int dirfd, const char *path), (dirfd, path))

/* --- the workload --- */

struct step {
    enum { STEP_DO, STEP_KEEP, STEP_COMMIT, STEP_STOP, STEP_COMMIT_STOPPED, STEP_TRIM } kind;
    struct crash_step what;
};

struct world {
    char path[64];
    struct crash_parcel p;
    struct crash_model *found;
    char what[64];      /* is done, for messages */
    long *acknowledged; /* shared with the child: steps whose durability was acknowledged */
    uint64_t digests[STEPS + 1];
    bool consistent[STEPS + 1];
    struct step steps[STEPS];
};

static struct step make_step(uint64_t *random)
{
    static const int durable[] = {STEP_COMMIT, STEP_STOP, STEP_COMMIT_STOPPED, STEP_TRIM};
    uint64_t dice = test_random(random) % 24;
    if (dice < 8)
        return (struct step){.kind = dice < 4 ? durable[dice] : STEP_KEEP};
    return (struct step){.kind = STEP_DO, .what = crash_model_step(random, CRASH_MODEL_FILES)};
}

static bool is_stop(const struct step *s)
{
    return s->kind == STEP_STOP || s->kind == STEP_COMMIT_STOPPED;
}

/* Every other commit waits for nothing, and so leaves something over where nodes are not loaded. */
static int commit(struct world *w, bool consistent)
{
    return crash_parcel_commit(&w->p, site_log_last_batch(w->p.log) % 2, consistent);
}

static int do_step(struct world *w, const struct step *s)
{
    switch (s->kind) {
    case STEP_KEEP:
    case STEP_STOP:
        return crash_parcel_keep(&w->p, is_stop(s));
    case STEP_COMMIT:
    case STEP_COMMIT_STOPPED:
        return commit(w, is_stop(s));
    case STEP_TRIM:
        return crash_parcel_trim(&w->p);
    default:
        return crash_model_do_parcel(w->p.parcel, &s->what);
    }
}

/* Runs all steps; those that a failing disk refuses are tried once more, then it is given up. */
static void run_steps(struct world *w)
{
    for (long i = 0; i < STEPS; i++) {
        int r = do_step(w, &w->steps[i]);
        if (r < 0 && do_step(w, &w->steps[i]) < 0)
            return;
        if (w->steps[i].kind != STEP_DO)
            *w->acknowledged = i + 1;
    }
}

/* --- checking --- */

/* Is what is there now the state after some step that is not before the last acknowledged one? And
 * one at which nothing ran, if it says so? */
static void check_promise(struct world *w, const char *what, long at)
{
    fault.kind = FAULT_NONE;
    int r = crash_parcel_open(&w->p, w->path, false);
    if (r < 0)
        fail_msg("%s %ld: the parcel cannot be opened: %s", what, at, strerror(-r));
    uint64_t digest;
    assert_true(crash_model_read(w->p.parcel, w->found, &digest));
    long step = STEPS;
    bool claims = parcel_is_consistent(w->p.parcel);
    while (step >= *w->acknowledged &&
           (w->digests[step] != digest || (claims && !w->consistent[step])))
        step--;
    if (step < *w->acknowledged)
        fail_msg("%s %ld: the state%s is none since step %ld, which was durable", what, at,
                 claims ? ", said to be consistent," : "", *w->acknowledged);
    crash_parcel_close(&w->p);
}

static void reset(struct world *w)
{
    fault.kind = FAULT_NONE;
    io_remove_tree(AT_FDCWD, w->path);
    assert_int_equal(mkdir(w->path, 0700), 0);
    assert_int_equal(crash_parcel_open(&w->p, w->path, true), 0);
    crash_parcel_close(&w->p);
    *w->acknowledged = 0;
}

/* Runs FN in a child that dies at operation AT; true if it came to that. */
static bool dies_at(struct world *w, long at, void (*fn)(struct world *w))
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fault.kind = FAULT_KILL;
        fault.done = 0;
        fault.at = at;
        fault.times = 1;
        fn(w);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 99);
    return WEXITSTATUS(status) == 99;
}

static void open_and_run(struct world *w)
{
    if (crash_parcel_open(&w->p, w->path, false) < 0)
        _exit(1);
    run_steps(w);
    crash_parcel_close(&w->p);
}

static void open_and_commit(struct world *w)
{
    if (crash_parcel_open(&w->p, w->path, false) < 0 ||
        commit(w, parcel_is_consistent(w->p.parcel)) < 0)
        _exit(1);
    crash_parcel_close(&w->p);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    strcpy(w->path, "/tmp/test_crash.XXXXXX");
    assert_non_null(mkdtemp(w->path));
    crash_parcel_init(&w->p);
    w->found = calloc(1, sizeof *w->found);
    w->acknowledged =
        mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t random = crash_setting("CRASH_SEED", 20041101);
    print_message("seed %llu\n", (unsigned long long)random);
    random = random * UINT64_C(0x9e3779b97f4a7c15) | 1;
    struct crash_model *m = calloc(1, sizeof *m);
    w->digests[0] = crash_model_digest(m);
    for (long i = 0; i < STEPS; i++) {
        w->steps[i] = make_step(&random);
        if (w->steps[i].kind == STEP_DO)
            crash_model_do(m, &w->steps[i].what);
        if (is_stop(&w->steps[i]))
            w->consistent[i + 1] = crash_model_stop(m);
        w->digests[i + 1] = crash_model_digest(m);
        if (w->digests[i + 1] == w->digests[i]) /* what was kept then is still of one moment */
            w->consistent[i + 1] |= w->consistent[i];
    }
    free(m);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    fault.kind = FAULT_NONE;
    crash_parcel_free(&w->p);
    io_remove_tree(AT_FDCWD, w->path);
    free(w->found);
    munmap(w->acknowledged, sizeof(long));
    free(w);
    return 0;
}

static void a_process_killed_at_any_operation_keeps_the_promise(void **state)
{
    struct world *w = *state;
    long at = 1;
    for (bool died = true; died; at++) {
        reset(w);
        died = dies_at(w, at, open_and_run);
        check_promise(w, "killed at operation", at);
    }
    print_message("%ld operations\n", at - 1);
    assert_true(at > 50);
    assert_int_equal(*w->acknowledged > 0, 1);
}

/* What lies there now is recovered from, and that killed at each operation. */
static void kill_recovery(struct world *w, long crash)
{
    struct crash_trace *t = crash_trace_read(w->path);
    bool died = true;
    for (long at = 1; died; at++) {
        crash_disk_restore(t, w->path);
        died = dies_at(w, at, open_and_commit);
        snprintf(w->what, sizeof w->what, "killed at operation %ld, and recovery at", crash);
        check_promise(w, w->what, at);
    }
    crash_trace_free(t);
}

static void recovery_killed_at_any_operation_keeps_the_promise(void **state)
{
    struct world *w = *state;
    bool died = true;
    for (long crash = 1; died; crash++) {
        reset(w);
        died = dies_at(w, crash, open_and_run);
        kill_recovery(w, crash);
    }
}

/* The disk fails TIMES operations from each one on, then works again. */
static void fail_everywhere(struct world *w, int error, long times)
{
    long total = 1;
    for (long at = 1; at <= total; at++) {
        reset(w);
        fault.kind = FAULT_NONE;
        if (crash_parcel_open(&w->p, w->path, false) < 0)
            fail_msg("cannot open");
        fault.kind = FAULT_ERROR;
        fault.error = error;
        fault.done = 0;
        fault.at = at;
        fault.times = times;
        run_steps(w);
        if (times == 1 && *w->acknowledged < STEPS - 12)
            fail_msg("one failure at operation %ld ends the work at step %ld", at,
                     *w->acknowledged);
        total = fault.done > total ? fault.done : total;
        crash_parcel_close(&w->p);
        check_promise(w, strerror(-error), at);
    }
}

static void a_disk_that_fails_at_any_operation_keeps_the_promise(void **state)
{
    struct world *w = *state;
    static const int errors[] = {-ENOSPC, -EIO};
    static const long times[] = {1, 2, 7};
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < 3; k++)
            fail_everywhere(w, errors[i], times[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_process_killed_at_any_operation_keeps_the_promise),
        TEST(recovery_killed_at_any_operation_keeps_the_promise),
        TEST(a_disk_that_fails_at_any_operation_keeps_the_promise),
    };
    cmocka_set_test_filter(getenv("CRASH_TEST")); /* the name of one of them */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
