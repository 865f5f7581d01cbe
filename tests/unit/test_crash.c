/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promise of the journal, for a process that dies, and for a disk that fails, at every single
 * operation that it does on the disk: afterwards the parcel is as it was after some step of the
 * workload, not before the last one that was acknowledged as durable.
 *
 * The calls of base/io.h that change the disk are wrapped by the linker: the one with number
 * `fault.at` does not happen, or only by half, and ends the process or gives an error. */
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
#include "tests/unit/crash_model.h"
#include "tests/unit/crash_parcel.h"

#define STEPS 160

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
WRAP(io_fsync, (int fd), (fd))
WRAP(io_fdatasync, (int fd), (fd))
WRAP(io_fsync_dir, (int dirfd, const char *path), (dirfd, path))
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
    enum { STEP_DO, STEP_KEEP, STEP_COMMIT } kind;
    struct crash_step what;
};

struct world {
    char path[64];
    struct crash_parcel p;
    struct crash_model *found;
    long *acknowledged; /* shared with the child: steps whose durability was acknowledged */
    uint64_t digests[STEPS + 1];
    struct step steps[STEPS];
};

static struct step make_step(uint64_t *random)
{
    uint64_t dice = test_random(random) % 14;
    if (dice < 4)
        return (struct step){.kind = dice == 0 ? STEP_COMMIT : STEP_KEEP};
    return (struct step){.kind = STEP_DO, .what = crash_model_step(random)};
}

/* Every other commit waits for nothing, and so leaves something over where nodes are not loaded. */
static int commit(struct world *w)
{
    return crash_parcel_commit(&w->p, site_log_last_batch(w->p.log) % 2);
}

static int do_step(struct world *w, const struct step *s)
{
    switch (s->kind) {
    case STEP_KEEP:
        return crash_parcel_keep(&w->p);
    case STEP_COMMIT:
        return commit(w);
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

/* Is what is there now the state after some step that is not before the last acknowledged one? */
static void check_promise(struct world *w, const char *what, long at)
{
    fault.kind = FAULT_NONE;
    int r = crash_parcel_open(&w->p, w->path, false);
    if (r < 0)
        fail_msg("%s %ld: the parcel cannot be opened: %s", what, at, strerror(-r));
    uint64_t digest;
    assert_true(crash_model_read(w->p.parcel, w->found, &digest));
    long step = STEPS;
    while (step >= *w->acknowledged && w->digests[step] != digest)
        step--;
    if (step < *w->acknowledged)
        fail_msg("%s %ld: the state is none since step %ld, which was durable", what, at,
                 *w->acknowledged);
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
    if (crash_parcel_open(&w->p, w->path, false) < 0 || commit(w) < 0)
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
    uint64_t random = 20041101;
    print_message("seed %llu\n", (unsigned long long)random);
    struct crash_model *m = calloc(1, sizeof *m);
    w->digests[0] = crash_model_digest(m);
    for (long i = 0; i < STEPS; i++) {
        w->steps[i] = make_step(&random);
        if (w->steps[i].kind == STEP_DO)
            crash_model_do(m, &w->steps[i].what);
        w->digests[i + 1] = crash_model_digest(m);
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

static void recovery_killed_at_any_operation_keeps_the_promise(void **state)
{
    struct world *w = *state;
    for (long crash = 10; crash <= 50; crash += 10) {
        bool died = true;
        for (long at = 1; died; at++) {
            reset(w);
            dies_at(w, crash, open_and_run);
            died = dies_at(w, at, open_and_commit);
            check_promise(w, "recovery killed at operation", at);
        }
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
    return cmocka_run_group_tests(tests, NULL, NULL);
}
