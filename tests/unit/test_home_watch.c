/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the watch of a home makes of what the home says. The home here is a store that says what it
 * is told to, and can be made to keep a reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/clock.h"
#include "isrfs/store/home_watch.h"

#define RECORD "versions/u/1"

struct home {
    struct store store; /* must be first */
    atomic_int get, record;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool keeps;    /* lock: readers are not answered */
    unsigned kept; /* lock: so many */
    struct codec *codec;
    struct home_watch *watch;
};

static int home_get(struct store *s, const struct object_id *id, struct buffer *out)
{
    (void)id, (void)out;
    struct home *h = (struct home *)s;
    int r = atomic_load(&h->get);
    LOCK_SCOPE(&h->lock);
    h->kept++;
    pthread_cond_broadcast(&h->changed);
    while (h->keeps)
        pthread_cond_wait(&h->changed, &h->lock);
    h->kept--;
    return r;
}

static int home_get_record(struct store *s, const char *name, struct buffer *out)
{
    (void)out;
    assert_string_equal(name, RECORD);
    return atomic_load(&((struct home *)s)->record);
}

static void home_free(struct store *s)
{
    (void)s;
}

static const struct store_ops ops = {
    .get = home_get, .get_record = home_get_record, .free = home_free};

static int set_up(void **state)
{
    struct home *h = calloc(1, sizeof *h);
    h->codec = codec_new(&(struct codec_settings){CODEC_STORED, 0, CODEC_PAD_NONE});
    h->store = (struct store){.ops = &ops, .name = "home", .codec = h->codec};
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    struct home_watch_config config = {
        .home = &h->store, .record = RECORD, .probe_ms = 5, .silent_ms = 30};
    *state = h;
    atomic_store(&h->get, -ENOENT);
    return home_watch_new(&config, &h->watch);
}

static int tear_down(void **state)
{
    struct home *h = *state;
    home_watch_free(h->watch);
    codec_free(h->codec);
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->lock);
    free(h);
    return 0;
}

static int get(struct home *h)
{
    CLEANUP_BUFFER struct buffer out = {0};
    struct object_id id = {{1}};
    return store_get(home_watch_store(h->watch), &id, &out);
}

static bool is_away(struct home *h)
{
    struct home_watch_state state;
    home_watch_state(h->watch, &state);
    return state.away;
}

static struct home_watch_patience patience(int64_t ms)
{
    return (struct home_watch_patience){.deadline = ms < 0 ? INT64_MAX : clock_ms() + ms};
}

/* Waits until it is back. */
static void wait_back(struct home *h)
{
    struct home_watch_patience p = patience(20000);
    assert_int_equal(home_watch_wait(h->watch, &p), 0);
}

static void go(struct home *h, int get_error, int record_error)
{
    atomic_store(&h->get, get_error);
    atomic_store(&h->record, record_error);
}

static void what_is_missing_or_damaged_is_not_away(void **state)
{
    struct home *h = *state;
    assert_int_equal(get(h), -ENOENT);
    go(h, -EBADMSG, 0);
    assert_int_equal(get(h), -EBADMSG);
    assert_false(is_away(h));
}

static void an_error_of_one_object_alone_is_not_away(void **state)
{
    struct home *h = *state;
    go(h, -EIO, 0);
    assert_int_equal(get(h), -EIO);
    go(h, -EIO, -ENOENT); /* the record may have been pruned, but the home has answered */
    assert_int_equal(get(h), -EIO);
    go(h, -ENOMEM, -EIO); /* a want of this process */
    assert_int_equal(get(h), -ENOMEM);
    assert_false(is_away(h));
}

static void errors_of_everything_are_away(void **state)
{
    static const int errors[] = {-EIO, -ENOTCONN, -ESTALE, -EACCES, -ENODEV, -EHOSTDOWN};
    struct home *h = *state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        go(h, errors[i], errors[i]);
        assert_int_equal(get(h), -EHOSTDOWN);
        assert_true(is_away(h));
        go(h, -ENOENT, 0);
        wait_back(h);
        assert_int_equal(get(h), -ENOENT);
    }
}

static void while_it_is_away_it_is_not_asked(void **state)
{
    struct home *h = *state;
    go(h, -EIO, -EIO);
    assert_int_equal(get(h), -EHOSTDOWN);
    go(h, -ENOENT, -EIO);
    assert_int_equal(get(h), -EHOSTDOWN);
}

static void patience_has_an_end(void **state)
{
    struct home *h = *state;
    go(h, -EIO, -EIO);
    assert_int_equal(get(h), -EHOSTDOWN);
    int64_t begin = clock_ms();
    struct home_watch_patience p = patience(50);
    assert_int_equal(home_watch_wait(h->watch, &p), -ETIMEDOUT);
    assert_true(clock_ms() - begin >= 50);
    assert_int_equal(home_watch_wait(h->watch, &p), -ETIMEDOUT);
}

/* An object that always fails must not be read as fast as the machine can. */
static void trying_again_gets_slower(void **state)
{
    struct home *h = *state;
    int64_t begin = clock_ms();
    struct home_watch_patience p = patience(450);
    unsigned tries = 0;
    while (home_watch_wait(h->watch, &p) == 0)
        tries++;
    assert_true(clock_ms() - begin >= 450);
    assert_in_range(tries, 1, 3);
}

struct waiter {
    struct home *h;
    pthread_t thread;
    atomic_bool useless; /* it gives up when it is asked */
    int result;
};

static bool is_useless(void *ctx)
{
    return atomic_load(&((struct waiter *)ctx)->useless);
}

static void *wait_for_ever(void *arg)
{
    struct waiter *w = arg;
    struct home_watch_patience p = patience(-1);
    p.given_up = is_useless;
    p.ctx = w;
    w->result = home_watch_wait(w->h->watch, &p);
    return NULL;
}

static void begin_waiting(struct home *h, struct waiter *waiters, unsigned count)
{
    struct home_watch_state now;
    for (unsigned i = 0; i < count; i++) {
        waiters[i].h = h;
        atomic_init(&waiters[i].useless, false);
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_for_ever, &waiters[i]), 0);
    }
    do
        home_watch_state(h->watch, &now);
    while (now.waiting < count);
}

static void end_waiting(struct waiter *waiters, unsigned count, int result)
{
    for (unsigned i = 0; i < count; i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_int_equal(waiters[i].result, result);
    }
}

static void all_who_wait_go_on_when_it_is_back_and_more_than_so_many_do_not_wait(void **state)
{
    struct home *h = *state;
    struct waiter waiters[HOME_WATCH_WAITERS_MAX];
    go(h, -EIO, -EIO);
    assert_int_equal(get(h), -EHOSTDOWN);
    begin_waiting(h, waiters, HOME_WATCH_WAITERS_MAX);
    struct home_watch_patience p = patience(-1);
    assert_int_equal(home_watch_wait(h->watch, &p), -EBUSY);
    go(h, -ENOENT, 0);
    end_waiting(waiters, HOME_WATCH_WAITERS_MAX, 0);
}

static void waiting_ends_when_it_is_cancelled(void **state)
{
    struct home *h = *state;
    struct waiter waiters[8];
    go(h, -EIO, -EIO);
    assert_int_equal(get(h), -EHOSTDOWN);
    begin_waiting(h, waiters, 8);
    home_watch_cancel(h->watch);
    end_waiting(waiters, 8, -ECANCELED);
    struct home_watch_patience p = patience(-1);
    assert_int_equal(home_watch_wait(h->watch, &p), -ECANCELED);
    go(h, -ENOENT, 0); /* but it is still known when it is back */
    do
        home_watch_look(h->watch);
    while (is_away(h));
    assert_int_equal(get(h), -ENOENT);
}

static void who_gives_up_ends_and_the_others_wait_on(void **state)
{
    struct home *h = *state;
    struct waiter waiters[8];
    go(h, -EIO, -EIO);
    assert_int_equal(get(h), -EHOSTDOWN);
    begin_waiting(h, waiters, 8);
    for (unsigned i = 0; i < 4; i++)
        atomic_store(&waiters[i].useless, true);
    home_watch_ask(h->watch);
    end_waiting(waiters, 4, -EINTR);
    struct home_watch_state now;
    home_watch_state(h->watch, &now);
    assert_int_equal(now.waiting, 4);
    struct home_watch_patience p = patience(-1);
    p.given_up = is_useless;
    p.ctx = &waiters[0];
    assert_int_equal(home_watch_wait(h->watch, &p), -EINTR);
    go(h, -ENOENT, 0);
    end_waiting(waiters + 4, 4, 0);
}

static void *read_one(void *arg)
{
    struct waiter *w = arg;
    w->result = get(w->h);
    return NULL;
}

static void a_home_that_answers_nothing_is_away_before_the_reader_knows(void **state)
{
    struct home *h = *state;
    struct waiter w = {.h = h};
    h->keeps = true;
    go(h, -ENOENT, -EHOSTDOWN);
    assert_int_equal(pthread_create(&w.thread, NULL, read_one, &w), 0);
    {
        LOCK_SCOPE(&h->lock);
        while (h->kept == 0)
            pthread_cond_wait(&h->changed, &h->lock);
    }
    while (!is_away(h))
        ;
    assert_int_equal(get(h), -EHOSTDOWN);
    go(h, -ENOENT, 0);
    {
        LOCK_SCOPE(&h->lock);
        h->keeps = false;
        pthread_cond_broadcast(&h->changed);
    }
    pthread_join(w.thread, NULL);
    assert_int_equal(w.result, -ENOENT);
    wait_back(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(what_is_missing_or_damaged_is_not_away),
        TEST(an_error_of_one_object_alone_is_not_away),
        TEST(errors_of_everything_are_away),
        TEST(while_it_is_away_it_is_not_asked),
        TEST(patience_has_an_end),
        TEST(trying_again_gets_slower),
        TEST(all_who_wait_go_on_when_it_is_back_and_more_than_so_many_do_not_wait),
        TEST(waiting_ends_when_it_is_cancelled),
        TEST(who_gives_up_ends_and_the_others_wait_on),
        TEST(a_home_that_answers_nothing_is_away_before_the_reader_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
