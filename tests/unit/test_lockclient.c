/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lock client against servers that lie, and against the real commands; all run as child
 * processes. A lying server is a folder of shell scripts that print what a test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "isrfs/base/io.h"
#include "tests/unit/lock_samples.h"

static const uint8_t keyroot_b[LOCKCLIENT_KEYROOT_SIZE] = {4, 5, 6};

static void test_a_new_nonce_says_what_it_is_based_on(void **state)
{
    (void)state;
    char one[LOCKCLIENT_NONCE_SIZE], two[LOCKCLIENT_NONCE_SIZE];
    assert_int_equal(lockclient_make_nonce(17, 3, one), 0);
    assert_int_equal(lockclient_make_nonce(17, 3, two), 0);
    assert_true(lockclient_nonce_valid(one));
    assert_non_null(strstr(one, "-17-3-"));
    assert_string_not_equal(one, two);
}

struct world {
    char folder[64];
    char root[128];
    char scripts[PATH_MAX];
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    strcpy(w->folder, "/tmp/isr-lockclient-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->root, sizeof w->root, "%s/a root", w->folder);
    const char *libexec = getenv("ISR_LIBEXEC");
    snprintf(w->scripts, sizeof w->scripts, "%s/lockserver", libexec ? libexec : "libexec");
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    int r = io_remove_tree(AT_FDCWD, w->folder);
    free(w);
    return r;
}

static struct lockclient *open_server(const struct world *w, const char *scripts, const char *site)
{
    struct lockclient_config config = {
        .server = w->root, .scripts = scripts, .user = "ann", .site = site};
    struct lockclient *lc = NULL;
    struct lockclient_error error = {0};
    assert_int_equal(lockclient_open(&config, &lc, &error), 0);
    return lc;
}

/* A server whose COMMAND is this shell text. */
static struct lockclient *open_liar(const struct world *w, const char *command, const char *text)
{
    char path[256], script[2048];
    snprintf(path, sizeof path, "%s/%s", w->folder, command);
    snprintf(script, sizeof script, "#!/bin/sh\n%s\n", text);
    assert_int_equal(io_replace(AT_FDCWD, path, script, strlen(script), 0700, false), 0);
    return open_server(w, w->folder, "liar:/x");
}

static void test_a_server_that_never_stops_talking_is_cut_off(void **state)
{
    CLEANUP_LOCKCLIENT struct lockclient *lc =
        open_liar(*state, "isr_cat_user", "exec cat /dev/zero");
    struct lockclient_user *user = NULL;
    struct lockclient_error error = {0};
    assert_int_equal(lockclient_user(lc, &user, &error), -EBADMSG);
    assert_int_equal(error.status, 1);
    assert_null(user);
    assert_non_null(strstr(error.text, "too long"));
}

static void test_a_status_3_without_a_reason_is_not_believed(void **state)
{
    CLEANUP_LOCKCLIENT struct lockclient *lc = open_liar(*state, "isr_publish", "exit 3");
    struct lockclient_publish p = {.version = {.keyroot = keyroot_a}, .base = 1};
    struct lockclient_error error = {0};
    assert_int_equal(lockclient_publish(lc, "vm", NONCE, &p, &error), -EBADMSG);
}

static void test_a_servers_last_words_are_one_clean_line(void **state)
{
    CLEANUP_LOCKCLIENT struct lockclient *lc =
        open_liar(*state, "isr_release_lock",
                  "printf 'isr_release_lock: no \\033[31mroom\\nsecond line\\n' >&2; exit 1");
    struct lockclient_error error = {0};
    assert_int_equal(lockclient_release(lc, "vm", NONCE, &error), -EREMOTEIO);
    assert_int_equal(error.status, 1);
    assert_string_equal(error.text, "no ?[31mroom");
}

static void test_a_killed_or_missing_command_is_a_server_not_reached(void **state)
{
    CLEANUP_LOCKCLIENT struct lockclient *lc = open_liar(*state, "isr_release_lock", "kill -9 $$");
    struct lockclient_error error = {0};
    assert_int_equal(lockclient_release(lc, "vm", NONCE, &error), -EHOSTUNREACH);
    assert_int_equal(error.status, 6);
    struct lockclient_list list;
    assert_int_equal(lockclient_list(lc, &list, &error), -EHOSTUNREACH);
    assert_int_equal(error.status, 6);
}

static void test_commands_get_nothing_of_the_callers_environment(void **state)
{
    struct world *w = *state;
    assert_int_equal(setenv("ISR_TEST_OF_CALLER", "x", 1), 0);
    CLEANUP_LOCKCLIENT struct lockclient *lc =
        open_liar(w, "isr_release_lock",
                  "[ -z \"${ISR_TEST_OF_CALLER-}${HOME-}\" ] && [ -n \"$ISR_LOCKSRV_ROOT\" ] &&\n"
                  "    echo RELEASED:=1");
    struct lockclient_error error = {0};
    assert_int_equal(lockclient_release(lc, "vm", NONCE, &error), 0);
}

static void test_servers_of_another_form_are_refused(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *server;
        int r;
    } bad[] = {{"ssh://-oProxyCommand=x", -EINVAL}, {"http://host/", -EINVAL}, {"", -EINVAL}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct lockclient_config config = {
            .server = bad[i].server, .scripts = w->scripts, .user = "ann", .site = "h:/x"};
        struct lockclient *lc = NULL;
        struct lockclient_error error = {0};
        assert_int_equal(lockclient_open(&config, &lc, &error), bad[i].r);
        assert_null(lc);
        assert_true(error.text[0] && !strchr(error.text, '\n'));
    }
}

static void test_words_are_checked_before_anything_runs(void **state)
{
    CLEANUP_LOCKCLIENT struct lockclient *lc =
        open_liar(*state, "isr_release_lock", "echo RELEASED:=1");
    struct lockclient_error error = {0};
    assert_int_equal(lockclient_release(lc, "../vm", NONCE, &error), -EINVAL);
    assert_int_equal(error.status, 2);
    assert_int_equal(lockclient_release(lc, "vm", "-rf", &error), -EINVAL);
    assert_int_equal(lockclient_release(lc, "vm", NONCE, &error), 0);
}

static void create_parcel(struct lockclient *lc)
{
    struct lockclient_create c = a_create();
    struct lockclient_error error = {0};
    assert_int_equal(lockclient_create(lc, "vm", &c, &error), 0);
}

static void test_a_parcel_is_made_once_and_found_again(void **state)
{
    struct world *w = *state;
    CLEANUP_LOCKCLIENT struct lockclient *lc = open_server(w, w->scripts, "here:/home/ann");
    struct lockclient_error error = {0};
    struct lockclient_user *user = NULL;
    assert_int_equal(lockclient_user(lc, &user, &error), 0);
    char expected[256];
    snprintf(expected, sizeof expected, "FILE://%s/ann/store", w->root);
    assert_string_equal(user->default_src, expected);
    assert_int_equal(user->epoch, 1);

    create_parcel(lc);
    create_parcel(lc);
    struct lockclient_create other = a_create();
    other.version.keyroot = keyroot_b;
    assert_int_equal(lockclient_create(lc, "vm", &other, &error), -EEXIST);
    assert_int_equal(error.status, 1);
    assert_string_equal(error.text, "parcel exists");

    struct lockclient_parcel_cfg cfg;
    assert_int_equal(lockclient_parcel_cfg(lc, "vm", &cfg, &error), 0);
    assert_string_equal(cfg.src, "FILE:///srv/my parcels");
    assert_string_equal(cfg.uuid, HEX32);
    assert_int_equal(cfg.version, 1);
    assert_int_equal(lockclient_parcel_cfg(lc, "none", &cfg, &error), -ENOENT);
    assert_int_equal(error.status, 4);

    struct lockclient_keyroot *keyroot = NULL;
    assert_int_equal(lockclient_keyroot(lc, "vm", 0, &keyroot, &error), 0);
    assert_memory_equal(keyroot->keyroot, keyroot_a, sizeof keyroot_a);
    assert_memory_equal(keyroot->secret, user->secret, sizeof user->secret);
    lockclient_keyroot_free(keyroot);
    assert_int_equal(lockclient_keyroot(lc, "vm", 2, &keyroot, &error), -ENOENT);
    lockclient_user_free(user);
}

static void test_a_lock_held_elsewhere_says_by_whom_where_and_since_when(void **state)
{
    struct world *w = *state;
    CLEANUP_LOCKCLIENT struct lockclient *here = open_server(w, w->scripts, "here:/home/ann");
    CLEANUP_LOCKCLIENT struct lockclient *there = open_server(w, w->scripts, "there:/my home");
    create_parcel(here);
    struct lockclient_error error = {0};
    struct lockclient_lock *lock = NULL;
    assert_int_equal(lockclient_acquire(there, "vm", NONCE, &lock, NULL, &error), 0);
    uint64_t since = lock->since;
    lockclient_lock_free(lock);
    lock = NULL;
    struct lockclient_holder holder = {0};
    assert_int_equal(lockclient_acquire(here, "vm", OTHER, &lock, &holder, &error), -EBUSY);
    assert_null(lock);
    assert_int_equal(error.status, 3);
    assert_string_equal(holder.user, "ann");
    assert_string_equal(holder.site, "there:/my home");
    assert_int_equal(holder.since, since);
    assert_ptr_equal(strstr(error.text, "held by ann at there:/my home since "), error.text);
    struct lockclient_list list;
    assert_int_equal(lockclient_list(here, &list, &error), 0);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.parcels[0].holder, "ann@there");
    lockclient_list_free(&list);
}

static void test_check_out_checkpoint_and_check_in(void **state)
{
    struct world *w = *state;
    CLEANUP_LOCKCLIENT struct lockclient *lc = open_server(w, w->scripts, "here:/home/ann");
    create_parcel(lc);
    struct lockclient_error error = {0};
    struct lockclient_lock *lock = NULL;
    assert_int_equal(lockclient_acquire(lc, "vm", NONCE, &lock, NULL, &error), 0);
    struct lockclient_publish p = {
        .version = {keyroot_b, 2000, 100, "before the journey"}, .base = 1, .consistent = true};
    assert_int_equal(lockclient_publish(lc, "vm", NONCE, &p, &error), 0);
    struct lockclient_check *check = NULL;
    assert_int_equal(lockclient_check(lc, "vm", NONCE, &check, &error), 0);
    assert_int_equal(check->state, LOCKCLIENT_HELD);
    assert_int_equal(check->version, 2);
    assert_true(check->has_session);
    assert_memory_equal(check->session, lock->session, sizeof lock->session);
    lockclient_check_free(check);

    p.base = 2;
    p.version.keyroot = keyroot_a;
    p.version.comment = NULL;
    p.release = true;
    assert_int_equal(lockclient_publish(lc, "vm", NONCE, &p, &error), 0);
    assert_int_equal(lockclient_publish(lc, "vm", NONCE, &p, &error), 0);
    assert_int_equal(lockclient_check(lc, "vm", NONCE, &check, &error), 0);
    assert_int_equal(check->state, LOCKCLIENT_PUBLISHED);
    assert_int_equal(check->version, 3);
    lockclient_check_free(check);
    lockclient_lock_free(lock);

    struct lockclient_history history;
    assert_int_equal(lockclient_history(lc, "vm", &history, &error), 0);
    assert_int_equal(history.count, 3);
    assert_string_equal(history.versions[1].comment, "before the journey");
    assert_int_equal(history.versions[1].size, 2000);
    assert_null(history.versions[2].comment);
    lockclient_history_free(&history);

    assert_int_equal(lockclient_acquire(lc, "vm", OTHER, &lock, NULL, &error), -ESTALE);
}

static void test_a_stolen_site_loses_its_lock_and_its_session_key(void **state)
{
    struct world *w = *state;
    CLEANUP_LOCKCLIENT struct lockclient *lc = open_server(w, w->scripts, "here:/home/ann");
    create_parcel(lc);
    struct lockclient_error error = {0};
    struct lockclient_broken broken;
    assert_int_equal(lockclient_break(lc, "vm", &(struct lockclient_break){0}, &broken, &error), 0);
    assert_false(broken.held);
    struct lockclient_lock *lock = NULL;
    assert_int_equal(lockclient_acquire(lc, "vm", NONCE, &lock, NULL, &error), 0);
    lockclient_lock_free(lock);
    assert_int_equal(
        lockclient_break(lc, "vm", &(struct lockclient_break){.stolen = true}, &broken, &error), 0);
    assert_true(broken.held);
    assert_string_equal(broken.nonce, NONCE);
    assert_string_equal(broken.holder.site, "here:/home/ann");

    struct lockclient_check *check = NULL;
    assert_int_equal(lockclient_check(lc, "vm", NONCE, &check, &error), 0);
    assert_int_equal(check->state, LOCKCLIENT_BROKEN);
    assert_false(check->has_session);
    lockclient_check_free(check);
    struct lockclient_publish p = {.version = {.keyroot = keyroot_b}, .base = 1, .release = true};
    assert_int_equal(lockclient_publish(lc, "vm", NONCE, &p, &error), -EKEYREVOKED);
    assert_int_equal(error.status, 3);
    assert_int_equal(lockclient_acquire(lc, "vm", NONCE, &lock, NULL, &error), -EKEYREVOKED);
    assert_int_equal(lockclient_release(lc, "vm", NONCE, &error), -EKEYREVOKED);
}

#define WITH_SERVER(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_nonce_says_what_it_is_based_on),
        WITH_SERVER(test_a_server_that_never_stops_talking_is_cut_off),
        WITH_SERVER(test_a_status_3_without_a_reason_is_not_believed),
        WITH_SERVER(test_a_servers_last_words_are_one_clean_line),
        WITH_SERVER(test_a_killed_or_missing_command_is_a_server_not_reached),
        WITH_SERVER(test_commands_get_nothing_of_the_callers_environment),
        WITH_SERVER(test_servers_of_another_form_are_refused),
        WITH_SERVER(test_words_are_checked_before_anything_runs),
        WITH_SERVER(test_a_parcel_is_made_once_and_found_again),
        WITH_SERVER(test_a_lock_held_elsewhere_says_by_whom_where_and_since_when),
        WITH_SERVER(test_check_out_checkpoint_and_check_in),
        WITH_SERVER(test_a_stolen_site_loses_its_lock_and_its_session_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
