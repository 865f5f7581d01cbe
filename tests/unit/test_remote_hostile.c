/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever a store's child process says, this process uses nothing that it has not checked, returns
 * an error in time, and is rid of that child. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "isrfs/base/clock.h"
#include "isrfs/base/io.h"
#include "tests/unit/remote_bench.h"

#define UUID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* Opens a store whose child misbehaves in this way. */
static int open_hostile(struct fixture *f, const char *mode, struct store **ret)
{
    const char *build = getenv("abs_top_builddir");
    char program[400], path[100];
    snprintf(program, sizeof program, "%s/tests/unit/hostile_store_child", build ? build : ".");
    snprintf(path, sizeof path, "/hostile/%s", mode);
    struct remote_config config = remote_config_of(f);
    config.path = path;
    config.uuid = UUID;
    config.program = program;
    config.limit_ms = LIMIT_MS;
    return remote_open(&config, ret);
}

static struct store *must_open(struct fixture *f, const char *mode)
{
    struct store *s = NULL;
    assert_int_equal(open_hostile(f, mode, &s), 0);
    return s;
}

static void assert_no_children(void)
{
    pid_t ids[8];
    assert_int_equal(children(ids, 8), 0);
}

static void a_child_that_never_gets_ready_is_no_store(void **state)
{
    static const char *const modes[] = {"exits",       "ready-positive", "ready-without-uuid",
                                        "ready-short", "ready-long",     "ready-garbage",
                                        "other-uuid",  "says-nothing"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct store *s = NULL;
        int64_t begin = clock_ms();
        assert_int_equal(open_hostile(f, modes[i], &s), -EHOSTDOWN);
        assert_in_range(clock_ms() - begin, 0, 2 * SLACK_MS);
        assert_no_children();
    }
}

static void a_reply_that_breaks_the_rules_is_not_used(void **state)
{
    static const char *const modes[] = {
        "reply-short",     "reply-empty",   "reply-long",   "reply-garbage",
        "too-large",       "size-of-4-gib", "wrong-serial", "error-with-bytes",
        "positive-result", "no-such-errno", "descriptors",  "on-control",
    };
    struct fixture *f = *state;
    struct sample a = sample_of(f, 1);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct store *s = must_open(f, modes[i]);
        int64_t begin = clock_ms();
        for (int again = 0; again < 10; again++) {
            assert_int_equal(get(s, &a), -EHOSTDOWN);
            assert_true(remote_hanging(s) <= REMOTE_HANGING_MAX + 1);
        }
        assert_in_range(clock_ms() - begin, 0, 2 * SLACK_MS);
        store_free(s);
        assert_no_children();
    }
}

static void bytes_that_are_not_the_objects_are_found(void **state)
{
    struct fixture *f = *state;
    CLEANUP_STORE struct store *s = must_open(f, "wrong-bytes");
    struct sample a = sample_of(f, 1);
    assert_int_equal(get(s, &a), -EBADMSG);
    assert_int_equal(f->counters.objects_damaged, 1);
}

static void a_second_reply_is_not_taken_for_the_next_requests(void **state)
{
    struct fixture *f = *state;
    CLEANUP_STORE struct store *s = must_open(f, "reply-twice");
    struct sample a = sample_of(f, 1);
    assert_int_equal(get(s, &a), -EBADMSG);
    assert_int_equal(get(s, &a), -EHOSTDOWN);
}

static void an_extra_word_on_the_control_socket_ends_the_child(void **state)
{
    struct fixture *f = *state;
    CLEANUP_STORE struct store *s = NULL;
    struct sample a = sample_of(f, 1);
    int r = open_hostile(f, "ready-twice", &s);
    assert_true(r == 0 || r == -EHOSTDOWN); /* as soon as the second is heard */
    for (int i = 0; s && i < 100; i++)
        assert_true(get(s, &a) < 0);
}

static int any_name(void *ctx, const char *name)
{
    (void)ctx;
    assert_null(strchr(name, '/'));
    return 0;
}

static void names_that_are_none_are_refused(void **state)
{
    struct fixture *f = *state;
    CLEANUP_STORE struct store *slashes = must_open(f, "names-with-slashes");
    assert_int_equal(store_each_record(slashes, "holds/u", any_name, NULL), -EBADMSG);
    CLEANUP_STORE struct store *endless = must_open(f, "names-without-end");
    assert_int_equal(store_each_record(endless, "holds/u", any_name, NULL), -EBADMSG);
}

static void a_childs_chatter_is_bounded_and_clean(void **state)
{
    struct fixture *f = *state;
    char path[200];
    snprintf(path, sizeof path, "%s/log", f->root);
    CLEANUP_CLOSE int log = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CLEANUP_CLOSE int before = dup(2);
    dup2(log, 2);
    struct store *s = NULL;
    int r = open_hostile(f, "chatters", &s);
    struct sample a = sample_of(f, 1);
    int got = -EHOSTDOWN;
    for (int i = 0; r == 0 && i < 50 && got == -EHOSTDOWN; i++)
        got = get(s, &a);
    store_free(s);
    dup2(before, 2);
    assert_int_equal(r, 0);
    assert_int_equal(got, -EBADMSG); /* it serves in the end */
    CLEANUP_BUFFER struct buffer said = {0};
    assert_int_equal(io_read_file(AT_FDCWD, path, 10 << 20, &said), 0);
    size_t lines = 0;
    for (size_t i = 0; i < said.size; i++) {
        assert_true(said.data[i] == '\n' || (said.data[i] >= 0x20 && said.data[i] < 0x7f));
        lines += said.data[i] == '\n';
    }
    assert_in_range(lines, 100, 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_child_that_never_gets_ready_is_no_store),
        TEST(a_reply_that_breaks_the_rules_is_not_used),
        TEST(bytes_that_are_not_the_objects_are_found),
        TEST(a_second_reply_is_not_taken_for_the_next_requests),
        TEST(an_extra_word_on_the_control_socket_ends_the_child),
        TEST(names_that_are_none_are_refused),
        TEST(a_childs_chatter_is_bounded_and_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
