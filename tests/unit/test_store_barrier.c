/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A barrier that succeeds means that all is on the disk; one that cannot be sure fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/store_bench.h"

static void a_barrier_flushes_each_file_and_its_folders(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1);
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(store_put_record(f->store, "holds/u/1", "x", 1), 0);
    assert_int_equal(fsync_calls, 0);
    assert_int_equal(store_barrier(f->store), 0);
    assert_int_equal(fsync_calls, 2);
    assert_int_equal(fsync_dir_calls, 5); /* chunks/ab, chunks, holds/u, holds, the store's own */
    assert_int_equal(store_barrier(f->store), 0);
    assert_int_equal(fsync_calls, 2);
    assert_int_equal(fsync_dir_calls, 5);
    /* what is found good has still to be flushed: who wrote it may not have */
    reopen(f);
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(store_barrier(f->store), 0);
    assert_int_equal(fsync_calls, 3);
    assert_int_equal(fsync_dir_calls, 8);
}

static void a_failed_barrier_stays_failed_until_everything_is_put_again(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1), b = sample_of(f, 2), c = sample_of(f, 3);
    char path[400];
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(put(f->store, &b), 0);
    assert_int_equal(store_put_record(f->store, "holds/u/1", "x", 1), 0);
    ino_t inode = inode_of(path_of(f, "chunks", &a, 0, path));
    fsync_error = -EIO;
    assert_int_equal(store_barrier(f->store), -EIO);
    fsync_error = 0;
    assert_int_equal(store_barrier(f->store), -EIO);
    assert_int_equal(put(f->store, &c), 0);
    assert_int_equal(store_barrier(f->store), -EIO);
    assert_int_equal(put(f->store, &a), 0);
    assert_int_not_equal(inode_of(path), inode); /* written anew, however good it looked */
    assert_int_equal(store_barrier(f->store), -EIO);
    assert_int_equal(put(f->store, &b), 0);
    assert_int_equal(store_barrier(f->store), -EIO);
    assert_int_equal(store_put_record(f->store, "holds/u/1", "x", 1), 0);
    assert_int_equal(store_barrier(f->store), 0);
    assert_int_equal(get(f->store, &a), 0);
}

static void a_put_that_fails_after_a_failed_barrier_does_not_heal_it(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1);
    assert_int_equal(put(f->store, &a), 0);
    fsync_error = -EIO;
    assert_int_equal(store_barrier(f->store), -EIO);
    fsync_error = 0;
    write_error = -ENOSPC;
    assert_int_equal(put(f->store, &a), -ENOSPC);
    write_error = 0;
    assert_int_equal(store_barrier(f->store), -EIO);
    assert_int_equal(store_remove(f->store, &a.id), 0);
    assert_int_equal(store_barrier(f->store), 0);
}

static void what_is_lost_and_not_needed_any_more_fails_no_barrier(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1), b = sample_of(f, 2);
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(put(f->store, &b), 0);
    fsync_error = -EIO;
    assert_int_equal(store_barrier(f->store), -EIO);
    fsync_error = 0;
    store_put_again(f->store);
    write_error = -ENOSPC; /* it is written anew, however good it looks */
    assert_int_equal(put(f->store, &b), -ENOSPC);
    write_error = 0;
    assert_int_equal(put(f->store, &b), 0);
    assert_int_equal(store_barrier(f->store), 0); /* without A */
    /* what is lost after that counts again */
    assert_int_equal(put(f->store, &a), 0);
    fsync_error = -EIO;
    assert_int_equal(store_barrier(f->store), -EIO);
    fsync_error = 0;
    assert_int_equal(store_barrier(f->store), -EIO);
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(store_barrier(f->store), 0);
}

static void many_objects_are_flushed_by_one_syncfs_which_may_fail_too(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < 300; i++) {
        struct sample s = sample_of(f, i);
        assert_int_equal(put(f->store, &s), 0);
    }
    syncfs_error = fsync_error = -EIO;
    assert_int_equal(store_barrier(f->store), -EIO);
    syncfs_error = fsync_error = 0;
    unsigned before = syncfs_calls + fsync_calls;
    assert_int_equal(store_barrier(f->store), -EIO);
    for (uint32_t i = 0; i < 300; i++) {
        struct sample s = sample_of(f, i);
        assert_int_equal(put(f->store, &s), 0);
    }
    assert_int_equal(store_barrier(f->store), 0);
    /* where syncfs is not to be trusted, each file */
    assert_true(syncfs_calls + fsync_calls == before + 1 || fsync_calls >= before + 300);
}

static void a_store_that_was_swapped_for_an_empty_folder_is_offline(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1), b = sample_of(f, 2);
    char aside[200];
    snprintf(aside, sizeof aside, "%s/aside", f->root);
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(rename(f->path, aside), 0); /* as if it had been unmounted */
    assert_int_equal(mkdir(f->path, 0755), 0);
    assert_int_equal(store_barrier(f->store), -EHOSTDOWN);
    assert_int_equal(put(f->store, &b), -EHOSTDOWN);
    assert_int_equal(get(f->store, &a), -EHOSTDOWN);
    assert_int_equal(store_has(f->store, &a.id), -EHOSTDOWN);
    assert_int_equal(store_put_record(f->store, "holds/u/1", "x", 1), -EHOSTDOWN);
    assert_int_equal(names_in(f->path), 0);
    /* when it is back, what was not flushed has to be put again */
    assert_int_equal(rmdir(f->path), 0);
    assert_int_equal(rename(aside, f->path), 0);
    assert_int_equal(get(f->store, &a), 0);
    assert_int_equal(store_barrier(f->store), -EHOSTDOWN);
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(store_barrier(f->store), 0);
}

static void a_store_whose_marker_is_gone_is_offline_not_empty(void **state)
{
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1);
    char marker[200];
    assert_int_equal(get(f->store, &a), -ENOENT);
    snprintf(marker, sizeof marker, "%s/isrfs-store", f->path);
    assert_int_equal(unlink(marker), 0);
    assert_int_equal(get(f->store, &a), -EHOSTDOWN);
    assert_int_equal(store_has(f->store, &a.id), -EHOSTDOWN);
    assert_int_equal(put(f->store, &a), -EHOSTDOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_barrier_flushes_each_file_and_its_folders),
        TEST(a_failed_barrier_stays_failed_until_everything_is_put_again),
        TEST(a_put_that_fails_after_a_failed_barrier_does_not_heal_it),
        TEST(what_is_lost_and_not_needed_any_more_fails_no_barrier),
        TEST(many_objects_are_flushed_by_one_syncfs_which_may_fail_too),
        TEST(a_store_that_was_swapped_for_an_empty_folder_is_offline),
        TEST(a_store_whose_marker_is_gone_is_offline_not_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
