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

static void what_is_lost_and_not_needed_any_more_fails_no_barrier(void **state)
{
    struct fixture *f = *state;
    struct remote_config config = remote_config_of(f);
    CLEANUP_STORE struct store *s = open_remote(&config);
    struct sample a = sample_of(f, 1), b = sample_of(f, 2), c = sample_of(f, 3);
    assert_int_equal(put(s, &a), 0);
    assert_int_equal(put(s, &b), 0);
    assert_int_equal(kill(only_child(), SIGKILL), 0);
    while (store_has(s, &a.id) < 0)
        ; /* until another serves */
    assert_int_equal(store_barrier(s), -EHOSTDOWN);
    store_put_again(s);
    assert_int_equal(put(s, &b), 0); /* and not A */
    assert_int_equal(put(s, &c), 0);
    assert_int_equal(store_barrier(s), 0);
    /* what is lost after that counts again */
    assert_int_equal(put(s, &a), 0);
    assert_int_equal(kill(only_child(), SIGKILL), 0);
    while (store_has(s, &b.id) < 0)
        ;
    assert_int_equal(store_barrier(s), -EHOSTDOWN);
    assert_int_equal(put(s, &a), 0);
    assert_int_equal(store_barrier(s), 0);
    assert_int_equal(get(f->store, &a), 0);
    assert_int_equal(get(f->store, &b), 0);
    assert_int_equal(get(f->store, &c), 0);
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

static void a_store_is_made_where_nothing_is_and_only_there(void **state)
{
    struct fixture *f = *state;
    static const enum folder_fanout fanout = FOLDER_FANOUT_2_1;
    struct remote_config config = remote_config_of(f);
    struct store *s = NULL;
    char path[200], uuid[STORE_UUID_HEX + 1];
    snprintf(path, sizeof path, "%s/made", f->root);
    config.path = path;
    config.uuid = NULL;
    config.create = &fanout;
    s = open_remote(&config);
    memcpy(uuid, remote_uuid(s), sizeof uuid);
    struct sample a = sample_of(f, 1);
    assert_int_equal(put(s, &a), 0);
    assert_int_equal(kill(only_child(), SIGKILL), 0);
    wait_until_back(s, &a); /* by a child that makes nothing */
    store_free(s);
    s = open_remote(&config); /* as one that is there */
    assert_string_equal(remote_uuid(s), uuid);
    assert_int_equal(get(s, &a), 0);
    store_free(s);
    config.path = f->root; /* which holds other things */
    assert_int_equal(remote_open(&config, &s), -ENOTEMPTY);
    CLEANUP_FREE char *clean = NULL;
    assert_true(asprintf(&clean, "rm -r '%s'", path) > 0);
    assert_int_equal(system(clean), 0);
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
        TEST(what_is_lost_and_not_needed_any_more_fails_no_barrier),
        TEST(the_child_inherits_nothing),
        TEST(no_child_is_left_when_the_store_is_closed),
        TEST(many_threads_share_it),
        cmocka_unit_test(no_more_is_put_than_can_be_known_to_be_lost),
        TEST(a_store_is_made_where_nothing_is_and_only_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
