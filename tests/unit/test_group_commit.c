/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Many who want something kept at the same time do not wait for a flush of the disk each. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/io.h"
#include "tests/unit/log_fixture.h"

enum { THREADS = 16 };

/* The disk: while it is slow, the first flush ends only when all threads have appended. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool slow;         /* lock */
    unsigned appended; /* lock */
    unsigned flushes;  /* lock; while it is slow */
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int __real_io_fdatasync(int fd);
int __wrap_io_fdatasync(int fd);
int __wrap_io_fdatasync(int fd)
{
    {
        LOCK_SCOPE(&disk.lock);
        disk.flushes += disk.slow;
        while (disk.slow && disk.appended < THREADS)
            pthread_cond_wait(&disk.changed, &disk.lock);
    }
    return __real_io_fdatasync(fd);
}

struct fixture {
    char path[64];
    int dirfd;
    struct codec *codec;
    struct site_log *log;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct codec_settings settings = {.method = CODEC_STORED};
    strcpy(f->path, "/tmp/test_group_commit.XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->dirfd = open(f->path, O_RDONLY | O_DIRECTORY);
    f->codec = codec_new(&settings);
    assert_int_equal(log_fixture_open(f->dirfd, f->codec, &f->log), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    site_log_close(f->log);
    close(f->dirfd);
    io_remove_tree(AT_FDCWD, f->path);
    codec_free(f->codec);
    free(f);
    return 0;
}

static void *append_and_flush(void *arg)
{
    struct site_log *log = arg;
    struct site_root root = {.base_version = 1};
    long r = site_log_put_root(log, &root);
    {
        LOCK_SCOPE(&disk.lock);
        disk.appended++;
        pthread_cond_broadcast(&disk.changed);
    }
    r = r < 0 ? r : site_log_flush(log);
    return (void *)r;
}

static void who_waits_together_is_served_by_one_flush(void **state)
{
    struct fixture *f = *state;
    struct site_root root = {.base_version = 1};
    assert_int_equal(site_log_put_root(f->log, &root), 0); /* there is a segment */
    assert_int_equal(site_log_flush(f->log), 0);
    disk.slow = true;
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, append_and_flush, f->log), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    disk.slow = false;
    /* one that began before the last had appended, and one for all who came later */
    assert_in_range(disk.flushes, 1, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_waits_together_is_served_by_one_flush, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
