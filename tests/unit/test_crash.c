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
#include "isrfs/base/secret.h"
#include "isrfs/parcel/parcel.h"

#define STEPS 160
#define SIZE  (6 * CHUNK_SIZE_DEFAULT)
#define NAMES 4

/* --- the disk that fails
 * ---------------------------------------------------------------------------- */

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

int __real_io_pwrite(int fd, const void *data, size_t size, off_t offset);
int __wrap_io_pwrite(int fd, const void *data, size_t size, off_t offset);
int __wrap_io_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    if (fault.done + 1 == fault.at) /* half of it reaches the disk */
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
WRAP(io_allocate, (int fd, off_t size), (fd, size))
WRAP(io_mkdir, (int dirfd, const char *path, mode_t mode), (dirfd, path, mode))
WRAP(io_create, (int dirfd, const char *path, int flags, mode_t mode), (dirfd, path, flags, mode))
WRAP(io_rename, (int from_dirfd, const char *from, int to_dirfd, const char *to),
     (from_dirfd, from, to_dirfd, to))
WRAP(io_unlink, (int dirfd, const char *path), (dirfd, path))

/* --- the workload, on a parcel and on a model
 * -------------------------------------------------------- */

struct model_file {
    bool there;
    uint64_t size;
    uint8_t data[SIZE];
};

/* Files by name: a rename moves the contents. */
struct model {
    struct model_file files[NAMES];
};

struct step {
    unsigned kind, name, other;
    uint64_t offset, size;
    uint8_t byte;
};

enum { STEP_WRITE, STEP_ZERO, STEP_TRUNCATE, STEP_RENAME, STEP_UNLINK, STEP_KEEP, STEP_COMMIT };

static const char *const names[NAMES] = {"disk.img", "mem.vmss", "mem.vmss.used", "nvram"};

static uint64_t next(uint64_t *random)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return *random * UINT64_C(2685821657736338717);
}

static struct step make_step(uint64_t *random)
{
    static const unsigned kinds[] = {
        STEP_WRITE,  STEP_WRITE, STEP_WRITE,    STEP_WRITE, STEP_WRITE,  STEP_ZERO, STEP_RENAME,
        STEP_UNLINK, STEP_KEEP,  STEP_TRUNCATE, STEP_KEEP,  STEP_COMMIT, STEP_KEEP, STEP_WRITE};
    static const uint64_t sizes[] = {
        1, 512, 4096, 20000, CHUNK_SIZE_DEFAULT, 2 * CHUNK_SIZE_DEFAULT};
    struct step s = {
        .kind = kinds[next(random) % (sizeof kinds / sizeof *kinds)],
        .name = (unsigned)(next(random) % NAMES),
        .other = (unsigned)(next(random) % NAMES),
        .size = sizes[next(random) % 6],
        .byte = (uint8_t)(next(random) | 1),
    };
    s.offset = next(random) % (SIZE - s.size);
    return s;
}

static void extend(struct model_file *f, uint64_t size)
{
    if (size <= f->size)
        return;
    memset(f->data + f->size, 0, size - f->size);
    f->size = size;
}

static void model_do(struct model *m, const struct step *s)
{
    struct model_file *f = &m->files[s->name];
    switch (s->kind) {
    case STEP_WRITE:
        if (!f->there)
            f->size = 0;
        f->there = true;
        extend(f, s->offset + s->size);
        memset(f->data + s->offset, s->byte, s->size);
        break;
    case STEP_ZERO:
        if (f->there && s->offset < f->size)
            memset(f->data + s->offset, 0,
                   s->size < f->size - s->offset ? s->size : f->size - s->offset);
        break;
    case STEP_TRUNCATE:
        if (!f->there)
            break;
        extend(f, s->offset);
        f->size = s->offset;
        break;
    case STEP_RENAME:
        if (!f->there || s->other == s->name)
            break;
        m->files[s->other] = *f;
        f->there = false;
        break;
    case STEP_UNLINK:
        f->there = false;
        break;
    default:
        break;
    }
}

static uint64_t model_digest(const struct model *m)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (unsigned i = 0; i < NAMES; i++) {
        const struct model_file *f = &m->files[i];
        uint64_t size = f->there ? f->size + 1 : 0;
        h = (h ^ size) * 1099511628211u;
        for (uint64_t k = 0; f->there && k < f->size; k++)
            h = (h ^ f->data[k]) * 1099511628211u;
    }
    return h;
}

struct world {
    char path[64];
    int dirfd;
    struct codec *codec;
    struct object_secret secret;
    struct site_log *log;
    struct parcel *parcel;
    long *acknowledged; /* shared with the child: steps whose durability was acknowledged */
    uint64_t digests[STEPS + 1];
    struct step steps[STEPS];
};

static int open_parcel(struct world *w)
{
    uint8_t session[32] = {9};
    struct site_log_config log_config = {.dirfd = w->dirfd,
                                         .folder = "log",
                                         .session_key = session,
                                         .identity = "uuid nonce",
                                         .codec = w->codec};
    int r = site_log_open(&log_config, &w->log, NULL);
    if (r < 0)
        return r;
    struct site_root root;
    r = site_log_newest_root(w->log, &root);
    struct parcel_config config = {.codec = w->codec,
                                   .store = site_log_store(w->log),
                                   .log = w->log,
                                   .secret = &w->secret,
                                   .cache_bytes = 4 << 20,
                                   .dirty_bytes = 4 * CHUNK_SIZE_DEFAULT};
    return r < 0 ? r : parcel_open(&config, &root.current, &w->parcel);
}

static void close_parcel(struct world *w)
{
    parcel_close(w->parcel);
    site_log_close(w->log);
    w->parcel = NULL;
    w->log = NULL;
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
    /* every other one waits for nothing, and so leaves something over where nodes are not loaded */
    int r = parcel_flush(w->parcel, site_log_last_batch(w->log) % 2, &root);
    r = r < 0 ? r : site_log_put_root(w->log, &root);
    if (r == 0)
        parcel_committed(w->parcel);
    parcel_thaw(w->parcel);
    return r < 0 ? r : site_log_flush(w->log);
}

/* The file's id, made if MAKE; 0 if there is none; negative errno. */
static int64_t file_id(struct world *w, const char *name, bool make)
{
    struct parcel_attr attr;
    int r = parcel_find(w->parcel, name, &attr);
    if (r == -ENOENT && make) {
        r = parcel_create(w->parcel, CATALOG_ROOT, name, 0600, &attr);
        if (r == 0)
            parcel_forget(w->parcel, attr.file_id, 1);
    }
    return r == -ENOENT ? 0 : r < 0 ? r : (int64_t)attr.file_id;
}

static int do_step(struct world *w, const struct step *s)
{
    if (s->kind == STEP_KEEP)
        return keep(w);
    if (s->kind == STEP_COMMIT)
        return commit(w);
    int64_t id = file_id(w, names[s->name], s->kind == STEP_WRITE);
    if (id <= 0)
        return (int)id;
    uint8_t *data;
    ssize_t n;
    struct parcel_attr attr;
    switch (s->kind) {
    case STEP_WRITE:
        data = malloc(s->size);
        memset(data, s->byte, s->size);
        n = parcel_write(w->parcel, (uint64_t)id, data, s->size, s->offset);
        free(data);
        return n < 0 ? (int)n : 0;
    case STEP_ZERO:
        return parcel_zero(w->parcel, (uint64_t)id, s->offset, s->size, true);
    case STEP_TRUNCATE:
        return parcel_truncate(w->parcel, (uint64_t)id, s->offset);
    case STEP_RENAME:
        return s->other == s->name ? 0
                                   : parcel_rename(w->parcel, CATALOG_ROOT, names[s->name],
                                                   CATALOG_ROOT, names[s->other], false);
    default:
        return parcel_getattr(w->parcel, (uint64_t)id, &attr) < 0
                   ? -EIO
                   : parcel_unlink(w->parcel, CATALOG_ROOT, names[s->name]);
    }
}

/* Runs all steps; those that a failing disk refuses are tried once more, then it is given up. */
static void run_steps(struct world *w)
{
    for (long i = 0; i < STEPS; i++) {
        int r = do_step(w, &w->steps[i]);
        if (r < 0 && do_step(w, &w->steps[i]) < 0)
            return;
        if (w->steps[i].kind == STEP_KEEP || w->steps[i].kind == STEP_COMMIT)
            *w->acknowledged = i + 1;
    }
}

/* --- checking
 * ---------------------------------------------------------------------------------------- */

static uint64_t parcel_digest(struct world *w)
{
    struct model *m = calloc(1, sizeof *m);
    for (unsigned i = 0; i < NAMES; i++) {
        struct parcel_attr attr;
        if (parcel_find(w->parcel, names[i], &attr) < 0)
            continue;
        struct model_file *f = &m->files[i];
        f->there = true;
        f->size = attr.size;
        assert_true(attr.size <= SIZE);
        assert_int_equal(parcel_read(w->parcel, attr.file_id, f->data, SIZE, 0), attr.size);
    }
    uint64_t digest = model_digest(m);
    free(m);
    return digest;
}

/* Is what is there now the state after some step that is not before the last acknowledged one? */
static void check_promise(struct world *w, const char *what, long at)
{
    fault.kind = FAULT_NONE;
    int r = open_parcel(w);
    if (r < 0)
        fail_msg("%s %ld: the parcel cannot be opened: %s", what, at, strerror(-r));
    uint64_t digest = parcel_digest(w);
    long step = STEPS;
    while (step >= *w->acknowledged && w->digests[step] != digest)
        step--;
    if (step < *w->acknowledged)
        fail_msg("%s %ld: the state is none since step %ld, which was durable", what, at,
                 *w->acknowledged);
    close_parcel(w);
}

static void reset(struct world *w)
{
    fault.kind = FAULT_NONE;
    io_remove_tree(w->dirfd, "log");
    uint8_t session[32] = {9};
    struct site_log_config log_config = {.dirfd = w->dirfd,
                                         .folder = "log",
                                         .session_key = session,
                                         .identity = "uuid nonce",
                                         .codec = w->codec};
    assert_int_equal(site_log_open(&log_config, &w->log, NULL), 0);
    struct catalog *empty = catalog_new();
    empty->next_file_id = 2;
    struct buffer object = {0};
    struct site_root root = {.base_version = 1};
    assert_int_equal(catalog_encode(w->codec, &w->secret, empty, &object, &root.current), 0);
    assert_int_equal(store_put(site_log_store(w->log), &root.current.id, object.data, object.size),
                     0);
    assert_int_equal(site_log_put_root(w->log, &root), 0);
    assert_int_equal(site_log_flush(w->log), 0);
    buffer_free(&object);
    catalog_free(empty);
    site_log_close(w->log);
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
    if (open_parcel(w) < 0)
        _exit(1);
    run_steps(w);
    close_parcel(w);
}

static void open_and_commit(struct world *w)
{
    if (open_parcel(w) < 0 || commit(w) < 0)
        _exit(1);
    close_parcel(w);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    strcpy(w->path, "/tmp/test_crash.XXXXXX");
    assert_non_null(mkdtemp(w->path));
    w->dirfd = open(w->path, O_RDONLY | O_DIRECTORY);
    struct codec_settings settings = {.method = CODEC_ZSTD};
    w->codec = codec_new(&settings);
    w->secret.bytes[0] = 3;
    w->acknowledged =
        mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t random = 20041101;
    print_message("seed %llu\n", (unsigned long long)random);
    struct model *m = calloc(1, sizeof *m);
    w->digests[0] = model_digest(m);
    for (long i = 0; i < STEPS; i++) {
        w->steps[i] = make_step(&random);
        model_do(m, &w->steps[i]);
        w->digests[i + 1] = model_digest(m);
    }
    free(m);
    catalog_init_json();
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    fault.kind = FAULT_NONE;
    close(w->dirfd);
    io_remove_tree(AT_FDCWD, w->path);
    codec_free(w->codec);
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
        if (open_parcel(w) < 0)
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
        close_parcel(w);
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
