/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A store behind a child process is a folder store like any other, and outlives that process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "isrfs/base/io.h"
#include "isrfs/store/remote_mounts.h"
#include "isrfs/store/remote_puts.h"
#include "tests/unit/remote_bench.h"

static struct store *open_default(struct fixture *f)
{
    struct remote_config config = remote_config_of(f);
    return open_remote(&config);
}

/* Kills the child; it is gone when this returns, noticed or not. */
static void kill_child(void)
{
    pid_t id = only_child();
    int gone = kill(id, SIGKILL);
    assert_int_equal(gone, 0);
}

static void what_one_side_puts_the_other_gets(void **state)
{
    struct fixture *f = *state;
    CLEANUP_STORE struct store *s = open_default(f);
    struct sample a = sample_of(f, 1), b = sample_of(f, 2);
    assert_int_equal(get(s, &a), -ENOENT);
    assert_int_equal(store_has(s, &a.id), 0);
    assert_int_equal(put(s, &a), 0);
    assert_int_equal(store_barrier(s), 0);
    assert_int_equal(get(f->store, &a), 0);
    assert_int_equal(put(f->store, &b), 0);
    assert_int_equal(get(s, &b), 0);
    assert_int_equal(store_has(s, &b.id), 1);
    assert_int_equal(store_remove(s, &b.id), 0);
    assert_int_equal(store_remove(s, &b.id), 0);
    assert_int_equal(get(f->store, &b), -ENOENT);
}

static void the_largest_object_goes_both_ways(void **state)
{
    struct fixture *f = *state;
    CLEANUP_STORE struct store *s = open_default(f);
    CLEANUP_BUFFER struct buffer object = {0}, out = {0};
    struct object_id id;
    assert_int_equal(buffer_resize(&object, OBJECT_SIZE_MAX), 0);
    memset(object.data, 0x5a, object.size);
    assert_int_equal(codec_digest(f->codec, object.data, object.size, &id), 0);
    assert_int_equal(store_put(s, &id, object.data, object.size), 0);
    assert_int_equal(store_get(s, &id, &out), 0);
    assert_int_equal(out.size, object.size);
    assert_memory_equal(out.data, object.data, out.size);
}

static void a_damaged_object_is_found_and_replaced(void **state)
{
    struct fixture *f = *state;
    CLEANUP_STORE struct store *s = open_default(f);
    struct sample a = sample_of(f, 1);
    char path[400];
    assert_int_equal(put(s, &a), 0);
    assert_int_equal(store_barrier(s), 0);
    write_text(path_of(f, "chunks", &a, 0, path), "torn", 4);
    assert_int_equal(get(s, &a), -EBADMSG);
    assert_int_equal(f->counters.objects_damaged, 1);
    assert_int_equal(put(s, &a), 0);
    assert_int_equal(f->counters.objects_damaged, 2);
    assert_int_equal(get(s, &a), 0);
}

static int collect(void *ctx, const char *name)
{
    char *all = ctx;
    strcat(strcat(all, name), " ");
    return strcmp(name, "stop") == 0 ? 7 : 0;
}

static void records_are_kept_listed_and_removed(void **state)
{
    struct fixture *f = *state;
    CLEANUP_STORE struct store *s = open_default(f);
    CLEANUP_BUFFER struct buffer out = {0};
    char names[100] = "";
    assert_int_equal(store_each_record(s, "holds", collect, names), 0);
    assert_int_equal(store_get_record(s, "holds/u/1", &out), -ENOENT);
    assert_int_equal(store_put_record(s, "holds/u/1", "one", 3), 0);
    assert_int_equal(store_put_record(s, "holds/u/1", "two", 3), 0);
    assert_int_equal(store_put_record(s, "holds/u/empty", "", 0), 0);
    assert_int_equal(store_barrier(s), 0);
    assert_int_equal(store_get_record(s, "holds/u/1", &out), 0);
    assert_int_equal(out.size, 3);
    assert_memory_equal(out.data, "two", 3);
    assert_int_equal(store_get_record(f->store, "holds/u/1", &out), 0);
    assert_int_equal(store_get_record(s, "holds/u/empty", &out), 0);
    assert_int_equal(out.size, 0);
    assert_int_equal(store_each_record(s, "holds/u", collect, names), 0);
    assert_int_equal(strlen(names), strlen("1 empty "));
    assert_int_equal(store_remove_record(s, "holds/u/1"), 0);
    assert_int_equal(store_get_record(s, "holds/u/1", &out), -ENOENT);
    assert_int_equal(store_put_record(s, "holds/u/stop", "", 0), 0);
    assert_int_equal(store_each_record(s, "holds/u", collect, names), 7);
}

static void a_read_only_store_refuses_writes(void **state)
{
    struct fixture *f = *state;
    struct remote_config config = remote_config_of(f);
    config.read_only = true;
    CLEANUP_STORE struct store *s = open_remote(&config);
    struct sample a = sample_of(f, 1);
    assert_int_equal(put(f->store, &a), 0);
    assert_int_equal(get(s, &a), 0);
    assert_int_equal(put(s, &a), -EROFS);
    assert_int_equal(store_barrier(s), -EROFS);
}

static void what_is_not_this_store_is_not_opened(void **state)
{
    struct fixture *f = *state;
    struct remote_config config = remote_config_of(f);
    struct store *s = NULL;
    config.uuid = "00000000000000000000000000000000";
    assert_int_equal(remote_open(&config, &s), -EHOSTDOWN);
    config.uuid = f->uuid;
    config.path = f->root; /* no marker */
    assert_int_equal(remote_open(&config, &s), -EHOSTDOWN);
    config.path = "relative";
    assert_int_equal(remote_open(&config, &s), -EINVAL);
    config.path = f->path;
    config.program = "/no/such/program";
    assert_int_equal(remote_open(&config, &s), -ENOENT);
    assert_null(s);
    pid_t ids[8];
    assert_int_equal(children(ids, 8), 0);
}

static void a_store_that_comes_back_serves_again(void **state)
{
    struct fixture *f = *state;
    CLEANUP_STORE struct store *s = open_default(f);
    struct sample a = sample_of(f, 1);
    char away[200];
    snprintf(away, sizeof away, "%s-away", f->path);
    assert_int_equal(put(s, &a), 0);
    assert_int_equal(store_barrier(s), 0);
    kill_child();
    assert_int_equal(rename(f->path, away), 0);
    int r;
    while ((r = get(s, &a)) == 0)
        ; /* until the child's end is noticed */
    assert_int_equal(r, -EHOSTDOWN);
    assert_int_equal(rename(away, f->path), 0);
    wait_until_back(s, &a);
}

static void a_killed_child_is_replaced_at_the_next_call(void **state)
{
    struct fixture *f = *state;
    CLEANUP_STORE struct store *s = open_default(f);
    struct sample a = sample_of(f, 1);
    assert_int_equal(put(s, &a), 0);
    for (int i = 0; i < 5; i++) {
        pid_t before = only_child();
        kill_child();
        int r = get(s, &a);
        if (r != 0) { /* it was asked just before it ended */
            assert_int_equal(r, -EHOSTDOWN);
            assert_int_equal(get(s, &a), 0);
        }
        assert_int_not_equal(only_child(), before);
    }
}

static void a_barrier_fails_until_what_a_killed_child_put_is_put_again(void **state)
{
    struct fixture *f = *state;
    CLEANUP_STORE struct store *s = open_default(f);
    struct sample a = sample_of(f, 1), b = sample_of(f, 2), durable = sample_of(f, 3);
    char path[400];
    assert_int_equal(put(s, &durable), 0);
    assert_int_equal(store_barrier(s), 0);
    assert_int_equal(put(s, &a), 0);
    assert_int_equal(put(s, &b), 0);
    assert_int_equal(store_put_record(s, "holds/u/1", "x", 1), 0);
    assert_int_equal(store_put_record(s, "holds/u/2", "x", 1), 0);
    ino_t inode = inode_of(path_of(f, "chunks", &a, 0, path));
    kill_child();
    assert_int_equal(store_barrier(s), -EHOSTDOWN);
    wait_until_back(s, &a);
    assert_int_equal(store_barrier(s), -EHOSTDOWN);
    assert_int_equal(put(s, &a), 0);
    assert_int_not_equal(inode_of(path), inode); /* written anew, however good it looked */
    assert_int_equal(store_barrier(s), -EHOSTDOWN);
    assert_int_equal(put(s, &b), 0);
    assert_int_equal(store_put_record(s, "holds/u/1", "x", 1), 0);
    assert_int_equal(store_barrier(s), -EHOSTDOWN);
    assert_int_equal(store_remove_record(s, "holds/u/2"), 0);
    assert_int_equal(store_barrier(s), 0);
    kill_child();
    wait_until_back(s, &a);
    assert_int_equal(store_barrier(s), 0); /* nothing was put since */
}

static void no_more_is_put_than_can_be_known_to_be_lost(void **state)
{
    (void)state;
    struct remote_puts *p = remote_puts_new();
    struct remote_request q = {.op = REMOTE_PUT};
    bool anew;
    uint64_t epoch;
    uint32_t count = 0;
    for (; !remote_puts_full(p); count++) {
        put_u32(q.id.bytes, count);
        assert_int_equal(remote_puts_add(p, &q), 0);
    }
    assert_true(count > 1000 && count < 32768); /* before the folder store makes a barrier */
    assert_int_equal(remote_puts_begin_barrier(p, &epoch), 0);
    put_u32(q.id.bytes, count);
    assert_int_equal(remote_puts_add(p, &q), 0); /* while it runs */
    remote_puts_lose(p, epoch, -EIO);
    assert_int_equal(remote_puts_begin(p, &q, &anew), -EIO);
    assert_false(anew);
    put_u32(q.id.bytes, 0);
    assert_int_equal(remote_puts_begin(p, &q, &anew), 0);
    assert_true(anew);
    assert_int_equal(remote_puts_begin_barrier(p, &epoch), -EIO);
    for (uint32_t i = 0; i < count; i++) {
        put_u32(q.id.bytes, i);
        assert_int_equal(remote_puts_add(p, &q), 0);
    }
    assert_int_equal(remote_puts_begin_barrier(p, &epoch), 0);
    assert_int_equal(remote_puts_settle(p, epoch), 0);
    assert_false(remote_puts_full(p));
    remote_puts_free(p);
}

struct links {
    const char *folder;
    unsigned unexpected;
};

static int check_link(void *ctx, const char *name)
{
    struct links *l = ctx;
    char path[300], target[300];
    snprintf(path, sizeof path, "%s/%.20s", l->folder, name);
    ssize_t n = readlink(path, target, sizeof target - 1);
    target[n < 0 ? 0 : n] = '\0';
    if (strncmp(target, "socket:", 7) != 0 && !strstr(target, "isrfs-store-"))
        l->unexpected++;
    return 0;
}

static void the_child_inherits_nothing(void **state)
{
    struct fixture *f = *state;
    int secret[2];
    assert_int_equal(pipe(secret), 0); /* not even close-on-exec */
    struct store *s = open_default(f);
    char path[64], target[300] = "";
    snprintf(path, sizeof path, "/proc/%d/fd", only_child());
    struct links l = {path, 0};
    assert_int_equal(io_each_name(AT_FDCWD, path, check_link, &l), 0);
    assert_int_equal(l.unexpected, 0);
    snprintf(path, sizeof path, "/proc/%d/cwd", only_child());
    assert_int_equal(readlink(path, target, sizeof target - 1), 1);
    assert_string_equal(target, "/");
    store_free(s);
    close(secret[0]);
    close(secret[1]);
}

static void no_child_is_left_when_the_store_is_closed(void **state)
{
    struct fixture *f = *state;
    struct store *s = open_default(f);
    only_child();
    store_free(s);
    pid_t ids[8];
    assert_int_equal(children(ids, 8), 0);
}

#define THREADS 8
#define ROUNDS  60

struct crowd {
    struct fixture *f;
    struct store *store;
    unsigned number;
    bool bad;
};

static void *work(void *arg)
{
    struct crowd *c = arg;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct sample own = sample_of(c->f, 1000 * c->number + i), shared = sample_of(c->f, i);
        if (put(c->store, &own) != 0 || get(c->store, &own) != 0 || put(c->store, &shared) != 0 ||
            (i % 20 == 0 && store_barrier(c->store) != 0) || store_has(c->store, &shared.id) != 1 ||
            get(c->store, &shared) != 0)
            c->bad = true;
    }
    return NULL;
}

/* With fewer workers than callers, so that some wait for a slot. */
static void many_threads_share_it(void **state)
{
    struct fixture *f = *state;
    struct remote_config config = remote_config_of(f);
    config.workers = 3;
    CLEANUP_STORE struct store *s = open_remote(&config);
    pthread_t threads[THREADS];
    struct crowd crowd[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        crowd[i] = (struct crowd){f, s, i + 1, false};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &crowd[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(crowd[i].bad);
    }
    assert_int_equal(store_barrier(s), 0);
}

static bool need(const char *list, const char *path)
{
    FILE *in = fmemopen((void *)(uintptr_t)list, strlen(list), "r");
    assert_non_null(in);
    bool r = remote_mounts_need(in, path);
    fclose(in);
    return r;
}

static void the_list_of_mounts_says_what_is_local(void **state)
{
    (void)state;
    const char *list = "20 1 0:1 / / rw - ext4 /dev/a rw\n"
                       "21 20 0:2 / /net rw shared:1 master:2 - nfs4 server:/ rw\n"
                       "22 21 0:3 / /net/disk rw - xfs /dev/b rw\n"
                       "23 20 0:4 / /with\\040space rw - fuse.sshfs host: rw\n"
                       "24 20 0:5 / /stack rw - ext4 /dev/c rw\n"
                       "25 24 0:6 / /stack rw - fuse.x x rw\n"
                       "26 20 0:7 / /hidden/below rw - ext4 /dev/d rw\n"
                       "27 20 0:8 / /hidden rw - fuse x rw\n";
    assert_false(need(list, "/"));
    assert_false(need(list, "/no/such"));
    assert_false(need(list, "/network"));
    assert_true(need(list, "/net"));
    assert_true(need(list, "/net/deep/../er"));
    assert_true(need(list, "//net//"));
    assert_true(need(list, "/net/disk")); /* reached through it */
    assert_true(need(list, "/with space/home"));
    assert_true(need(list, "/stack"));
    assert_true(need(list, "/hidden/below"));
    assert_false(need(list, "/no/../such"));
    assert_true(need(list, "relative"));
    assert_true(need("nonsense\n", "/"));
}

static void a_link_is_followed_to_where_it_leads(void **state)
{
    struct fixture *f = *state;
    char path[200], away[200];
    snprintf(path, sizeof path, "%s/link", f->root);
    snprintf(away, sizeof away, "%s/away", f->root);
    assert_int_equal(symlink("away/x", path), 0);
    CLEANUP_FREE char *list = NULL;
    assert_true(
        asprintf(&list, "20 1 0:1 / / rw - ext4 a rw\n21 20 0:2 / %s rw - nfs b rw\n", away) > 0);
    assert_true(need(list, path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(f->path, path), 0);
    assert_false(need(list, path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(path, path), 0);
    assert_true(need(list, path)); /* in a circle */
}

/* Where the list of mounts has no line for "/" (a chroot that is no mount), that counts as not
 * known. */
static void the_machine_s_own_list_is_read(void **state)
{
    static const char *const local[] = {"ext2",  "ext3", "ext4",  "xfs",
                                        "btrfs", "f2fs", "tmpfs", "overlay"};
    (void)state;
    CLEANUP_FCLOSE FILE *list = fopen("/proc/self/mountinfo", "re");
    char line[4096], type[32];
    bool is_local = false;
    assert_non_null(list);
    while (fgets(line, sizeof line, list)) {
        const char *rest = strstr(line, " - ");
        if (!strstr(line, " / / ") || !rest || sscanf(rest, " - %31s", type) != 1)
            continue;
        is_local = false; /* the last one lies on top */
        for (size_t i = 0; i < sizeof local / sizeof *local; i++)
            is_local |= strcmp(type, local[i]) == 0;
    }
    assert_int_equal(remote_is_needed("/"), !is_local);
    assert_true(remote_is_needed("/proc/self")); /* procfs is no place for a store */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_one_side_puts_the_other_gets),
        TEST(the_largest_object_goes_both_ways),
        TEST(a_damaged_object_is_found_and_replaced),
        TEST(records_are_kept_listed_and_removed),
        TEST(a_read_only_store_refuses_writes),
        TEST(what_is_not_this_store_is_not_opened),
        TEST(a_store_that_comes_back_serves_again),
        TEST(a_killed_child_is_replaced_at_the_next_call),
        TEST(a_barrier_fails_until_what_a_killed_child_put_is_put_again),
        TEST(the_child_inherits_nothing),
        TEST(no_child_is_left_when_the_store_is_closed),
        TEST(many_threads_share_it),
        cmocka_unit_test(no_more_is_put_than_can_be_known_to_be_lost),
        cmocka_unit_test(the_list_of_mounts_says_what_is_local),
        TEST(a_link_is_followed_to_where_it_leads),
        TEST(the_machine_s_own_list_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
