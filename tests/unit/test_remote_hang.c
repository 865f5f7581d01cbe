/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A home on a FUSE mount that stops answering holds nobody but the store's child processes: every
 * call returns within its limit, this process can be ended at any time, and when the home answers
 * again the same store goes on. The mount is a real one (hanging_fs.c); in one way of hanging its
 * server is stopped, in the other it takes requests and does not answer, so that not even SIGKILL
 * ends who waits for it. */
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
#include <sys/wait.h>
#include <unistd.h>

#include "isrfs/base/clock.h"
#include "tests/unit/remote_home.h"

/* Each call hangs at each of its requests: the limit (a child has to start within it), the step. */
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
#define IN_CALL_MS   LIMIT_MS
#define IN_CALL_STEP 5u
#else
#define IN_CALL_MS   100u
#define IN_CALL_STEP 1u
#endif
#define REFUSED_MS 1000 /* how long calls are made to a home that is offline */

static int ignore_name(void *ctx, const char *name)
{
    (void)ctx, (void)name;
    return 0;
}

/* One call of each kind. */
static int call_get(struct home *h)
{
    return get(h->store, &h->a);
}

static int call_has(struct home *h)
{
    return store_has(h->store, &h->a.id);
}

static int call_put(struct home *h)
{
    struct sample fresh = sample_of(h->f, h->put++);
    return put(h->store, &fresh);
}

static int call_remove(struct home *h)
{
    struct sample none = sample_of(h->f, 99);
    return store_remove(h->store, &none.id);
}

static int call_barrier(struct home *h)
{
    return store_barrier(h->store);
}

static int call_put_record(struct home *h)
{
    return store_put_record(h->store, "holds/u/2", "y", 1);
}

static int call_get_record(struct home *h)
{
    CLEANUP_BUFFER struct buffer out = {0};
    return store_get_record(h->store, "holds/u/1", &out);
}

static int call_remove_record(struct home *h)
{
    return store_remove_record(h->store, "holds/u/3");
}

static int call_each_record(struct home *h)
{
    return store_each_record(h->store, "holds/u", ignore_name, NULL);
}

static int (*const calls[])(struct home *h) = {
    call_get,        call_has,        call_put,           call_remove,      call_barrier,
    call_put_record, call_get_record, call_remove_record, call_each_record,
};
#define CALLS (sizeof calls / sizeof calls[0])

/* It gives -EHOSTDOWN, not before AT_LEAST, and not much after the limit. */
static void assert_late(struct home *h, int (*fn)(struct home *h), int64_t at_least)
{
    int64_t begin = clock_ms();
    assert_int_equal(fn(h), -EHOSTDOWN);
    int64_t took = clock_ms() - begin;
    assert_in_range(took, at_least, LIMIT_MS + SLACK_MS);
}

/* Puts again whatever may have been lost, so that the next barrier can succeed. */
static void put_all_again(struct home *h)
{
    for (; h->put_from < h->put; h->put_from++) {
        struct sample again = sample_of(h->f, h->put_from);
        assert_int_equal(put(h->store, &again), 0);
    }
    assert_int_equal(call_put_record(h), 0);
    assert_int_equal(store_barrier(h->store), 0);
}

static void every_call_returns_when_the_server_is_stopped(void **state)
{
    struct home *h = *state;
    for (size_t i = 0; i < CALLS; i++) {
        assert_int_equal(calls[i](h) < 0, 0);
        stop(h);
        assert_late(h, calls[i], LIMIT_MS - 10);
        go_on(h);
        wait_until_back(h->store, &h->a);
        put_all_again(h);
    }
}

/* Puts again whatever may have been lost, and then more: there is something to remove, and
 * something to flush. */
static int try_work(struct home *h)
{
    struct sample more = sample_of(h->f, 99);
    int r = put(h->store, &more);
    for (uint32_t i = h->put_from; r == 0 && i < h->put; i++) {
        struct sample again = sample_of(h->f, i);
        r = put(h->store, &again);
    }
    r = r < 0 ? r : store_put_record(h->store, "holds/u/3", "z", 1);
    r = r < 0 ? r : call_put_record(h);
    r = r < 0 ? r : store_barrier(h->store);
    if (r < 0)
        return r;
    h->put_from = h->put;
    r = call_put(h);
    return r < 0 ? r : call_put_record(h);
}

/* The limit is short, so that even good calls may be late on a busy machine. */
static void make_work(struct home *h)
{
    int r;
    do {
        wait_until_back(h->store, &h->a);
        r = try_work(h);
    } while (r == -EHOSTDOWN);
    assert_int_equal(r, 0);
}

/* FN while the server is stopped at its Nth request; false if it has made fewer. The last may come
 * after the answer, when the server removes a file that nobody has open any more. */
static bool stopped_in_call(struct home *h, int (*fn)(struct home *h), unsigned n)
{
    int r;
    bool stopped;
    do {
        make_work(h);
        stop_at(h, n);
        int64_t begin = clock_ms();
        r = fn(h);
        int64_t took = clock_ms() - begin;
        stopped = was_stopped(h);
        assert_in_range(took, r < 0 && stopped ? IN_CALL_MS - 10 : 0, IN_CALL_MS + SLACK_MS);
        assert_true(r >= 0 || r == -EHOSTDOWN);
    } while (r < 0 && !stopped);
    return stopped;
}

static void every_call_returns_when_the_server_is_stopped_at_any_of_its_requests(void **state)
{
    struct home *h = *state;
    int r;
    store_free(steal_ptr(h->store));
    h->config.limit_ms = h->config.barrier_limit_ms = IN_CALL_MS;
    while ((r = remote_open(&h->config, &h->store)) == -EHOSTDOWN)
        ; /* late on a busy machine */
    assert_int_equal(r, 0);
    for (size_t i = 0; i < CALLS; i++) {
        unsigned n = 1;
        while (stopped_in_call(h, calls[i], n))
            n += IN_CALL_STEP;
        print_message("call %zu: answered before request %u\n", i, n);
        assert_true(n > 1);
    }
}

static void opening_returns_when_the_home_hangs(void **state)
{
    struct home *h = *state;
    struct store *s = NULL;
    int64_t begin = clock_ms();
    stop(h);
    assert_int_equal(remote_open(&h->config, &s), -EHOSTDOWN);
    assert_in_range(clock_ms() - begin, LIMIT_MS - 10, 2 * SLACK_MS);
    go_on(h);
    freeze(h, "/isrfs-store");
    begin = clock_ms();
    assert_int_equal(remote_open(&h->config, &s), -EHOSTDOWN);
    assert_in_range(clock_ms() - begin, LIMIT_MS - 10, 2 * SLACK_MS);
    thaw(h);
    assert_int_equal(remote_open(&h->config, &s), 0);
    assert_int_equal(get(s, &h->a), 0);
    store_free(s);
}

/* Calls until one is refused at once. */
static void wait_until_offline(struct home *h)
{
    int64_t begin;
    unsigned late = 0;
    do {
        begin = clock_ms();
        assert_late(h, call_get, 0);
    } while (++late <= REMOTE_HANGING_MAX + 1 && clock_ms() - begin >= LIMIT_MS / 2);
    assert_in_range(late, 2, REMOTE_HANGING_MAX + 1);
}

static void a_silent_home_is_offline_at_once_and_children_are_few(void **state)
{
    struct home *h = *state;
    pid_t ids[32];
    freeze(h, "/");
    wait_until_offline(h);
    assert_int_equal(remote_hanging(h->store), REMOTE_HANGING_MAX);
    int64_t begin = clock_ms();
    /* among them many that would try, were it allowed */
    for (unsigned i = 0; clock_ms() - begin < REFUSED_MS; i++) {
        assert_int_equal(calls[i % CALLS](h), -EHOSTDOWN);
        assert_in_range(children(ids, 32), REMOTE_HANGING_MAX, REMOTE_HANGING_MAX + 1);
    }
    assert_in_range(clock_ms() - begin, REFUSED_MS, REFUSED_MS + SLACK_MS);
    thaw(h);
    wait_until_back(h->store, &h->a);
    wait_until_none_hangs(h->store);
    only_child();
    assert_int_equal(get(h->store, &h->b), 0);
}

/* Who waits for a stopped server can be killed, so that no child is left hanging; it is offline all
 * the same. */
static void a_stopped_home_is_offline_at_once(void **state)
{
    struct home *h = *state;
    pid_t ids[32];
    stop(h);
    wait_until_offline(h);
    int64_t begin = clock_ms();
    for (unsigned i = 0; clock_ms() - begin < REFUSED_MS; i++) {
        assert_int_equal(calls[i % CALLS](h), -EHOSTDOWN);
        assert_in_range(children(ids, 32), 0, REMOTE_HANGING_MAX + 1);
    }
    assert_in_range(clock_ms() - begin, REFUSED_MS, REFUSED_MS + SLACK_MS);
    go_on(h);
    wait_until_back(h->store, &h->a);
}

struct waiter {
    struct home *h;
    pthread_t thread;
    int result;
    int64_t took;
};

static void *wait_for_get(void *arg)
{
    struct waiter *w = arg;
    int64_t begin = clock_ms();
    w->result = get(w->h->store, &w->h->a);
    w->took = clock_ms() - begin;
    return NULL;
}

static void begin_get(struct waiter *w, struct home *h)
{
    w->h = h;
    assert_int_equal(pthread_create(&w->thread, NULL, wait_for_get, w), 0);
    hear(h, 'b');
}

static void one_object_that_hangs_holds_up_no_other(void **state)
{
    struct home *h = *state;
    struct waiter w = {0};
    char hex[OBJECT_ID_HEX + 1];
    object_id_to_hex(&h->a.id, hex);
    freeze(h, hex);
    begin_get(&w, h);
    for (int i = 0; i < 20; i++)
        assert_int_equal(get(h->store, &h->b), 0);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.result, -EHOSTDOWN);
    assert_int_equal(get(h->store, &h->b), 0); /* by another child */
    /* children that hang for this one object are not made without end either */
    pid_t ids[32];
    for (unsigned i = 0; i < 2 * REMOTE_HANGING_MAX; i++) {
        assert_late(h, call_get, 0);
        assert_in_range(children(ids, 32), 1, REMOTE_HANGING_MAX + 1);
        wait_until_back(h->store, &h->b);
    }
    thaw(h);
    wait_until_back(h->store, &h->a);
    wait_until_none_hangs(h->store);
    assert_int_equal(get(h->store, &h->b), 0);
}

static void a_read_that_is_slow_but_in_time_survives_the_childs_replacement(void **state)
{
    struct home *h = *state;
    store_free(h->store);
    h->config.barrier_limit_ms = 50; /* a barrier is late long before a get */
    h->config.limit_ms = 20000;
    h->store = open_remote(&h->config);
    struct waiter w = {0};
    freeze(h, "/");
    begin_get(&w, h);
    assert_int_equal(store_barrier(h->store), -EHOSTDOWN);
    thaw(h);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.result, 0);
    assert_int_equal(get(h->store, &h->b), 0);
}

static void what_was_put_before_a_hang_is_put_again_or_the_barrier_fails(void **state)
{
    struct home *h = *state;
    struct sample c = sample_of(h->f, 3);
    assert_int_equal(put(h->store, &c), 0);
    stop(h);
    assert_late(h, call_get, LIMIT_MS - 10);
    go_on(h);
    wait_until_back(h->store, &h->a);
    assert_int_equal(store_barrier(h->store), -EHOSTDOWN);
    assert_int_equal(put(h->store, &c), 0);
    assert_int_equal(store_barrier(h->store), 0);
    assert_int_equal(get(h->f->store, &c), 0);
}

static void a_killed_childs_requests_end_at_once(void **state)
{
    struct home *h = *state;
    store_free(h->store);
    h->config.limit_ms = 40000;
    h->store = open_remote(&h->config);
    struct waiter w = {.h = h};
    char hex[OBJECT_ID_HEX + 1];
    object_id_to_hex(&h->a.id, hex);
    freeze(h, hex);
    begin_get(&w, h);
    assert_int_equal(kill(only_child(), SIGKILL), 0);
    thaw(h); /* so that it can end */
    pthread_join(w.thread, NULL);
    assert_int_equal(w.result, -EHOSTDOWN);
    assert_in_range(w.took, 0, SLACK_MS);
    assert_int_equal(get(h->store, &h->a), 0);
}

static void an_interrupt_ends_calls_and_later_ones_are_served(void **state)
{
    struct home *h = *state;
    store_free(h->store);
    h->config.limit_ms = 40000;
    h->store = open_remote(&h->config);
    struct waiter w = {.h = h};
    struct sample c = sample_of(h->f, 3);
    assert_int_equal(put(h->store, &c), 0);
    freeze(h, "/");
    begin_get(&w, h);
    remote_interrupt(h->store);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.result, -EHOSTDOWN);
    assert_in_range(w.took, 0, SLACK_MS);
    thaw(h);
    wait_until_back(h->store, &h->a);
    assert_int_equal(store_barrier(h->store), -EHOSTDOWN); /* what was put is lost */
    assert_int_equal(put(h->store, &c), 0);
    assert_int_equal(store_barrier(h->store), 0);
    remote_interrupt(h->store); /* nothing is under way: nothing happens */
    assert_int_equal(get(h->store, &h->b), 0);
}

static void closing_the_store_does_not_wait_for_the_home(void **state)
{
    struct home *h = *state;
    freeze(h, "/");
    assert_late(h, call_get, LIMIT_MS - 10);
    int64_t begin = clock_ms();
    store_free(h->store);
    h->store = NULL;
    assert_in_range(clock_ms() - begin, 0, 1000 + SLACK_MS);
    thaw(h);
}

/* What a daemon does: has the home open, and is killed in the middle of a call. A program of its
 * own, since a forked copy of this one may have no threads. Its orders come on standard input. */
static int be_daemon(const char *mount)
{
    struct fixture f = {0};
    char c = 'o';
    f.codec = codec_new(&(struct codec_settings){CODEC_STORED, 0, CODEC_PAD_NONE});
    struct remote_config config = remote_config_of(&f);
    config.path = mount;
    config.uuid = NULL;
    config.limit_ms = 60000;
    struct store *s = open_remote(&config);
    struct sample a = sample_of(&f, 1);
    if (write(1, &c, 1) != 1 || read(0, &c, 1) != 1)
        return 1;
    get(s, &a);
    return 2;
}

static pid_t start_daemon(struct home *h, int told, int go)
{
    pid_t id = fork();
    assert_true(id >= 0);
    if (id > 0)
        return id;
    dup2(told, 1);
    dup2(go, 0);
    execl("/proc/self/exe", "daemon", h->mount, (char *)NULL);
    _exit(127);
}

static void a_process_with_a_hanging_home_can_be_killed(void **state)
{
    struct home *h = *state;
    store_free(h->store);
    h->store = NULL;
    int told[2], go[2], status;
    char c;
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    pid_t id = start_daemon(h, told[1], go[0]);
    close(told[1]);
    assert_int_equal(read(told[0], &c, 1), 1);
    freeze(h, "/");
    assert_int_equal(write(go[1], "g", 1), 1);
    hear(h, 'b');
    int64_t begin = clock_ms();
    kill(id, SIGKILL);
    assert_int_equal(waitpid(id, &status, 0), id);
    assert_true(WIFSIGNALED(status));
    assert_in_range(clock_ms() - begin, 0, SLACK_MS);
    thaw(h);
    close(told[0]);
    close(go[0]);
    close(go[1]);
}

static void asking_where_a_folder_lies_does_not_hang(void **state)
{
    struct home *h = *state;
    char below[300];
    snprintf(below, sizeof below, "%s/deep/down", h->mount);
    freeze(h, "/");
    assert_true(remote_is_needed(h->mount));
    assert_true(remote_is_needed(below));
    thaw(h);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return be_daemon(argv[1]);
    int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse < 0 || geteuid() != 0) {
        printf("SKIP: only root may mount here, and only with /dev/fuse\n");
        return 77;
    }
    close(fuse);
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        HOME_TEST(every_call_returns_when_the_server_is_stopped),
        HOME_TEST(every_call_returns_when_the_server_is_stopped_at_any_of_its_requests),
        HOME_TEST(opening_returns_when_the_home_hangs),
        HOME_TEST(a_silent_home_is_offline_at_once_and_children_are_few),
        HOME_TEST(a_stopped_home_is_offline_at_once),
        HOME_TEST(one_object_that_hangs_holds_up_no_other),
        HOME_TEST(a_read_that_is_slow_but_in_time_survives_the_childs_replacement),
        HOME_TEST(what_was_put_before_a_hang_is_put_again_or_the_barrier_fails),
        HOME_TEST(a_killed_childs_requests_end_at_once),
        HOME_TEST(an_interrupt_ends_calls_and_later_ones_are_served),
        HOME_TEST(closing_the_store_does_not_wait_for_the_home),
        HOME_TEST(a_process_with_a_hanging_home_can_be_killed),
        HOME_TEST(asking_where_a_folder_lies_does_not_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
