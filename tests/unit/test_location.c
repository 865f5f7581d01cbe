/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What names a lock server on another machine, and what it is reached with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "lockclient/known_hosts.h"
#include "lockclient/location.h"
#include "lockclient/lockclient.h"

static void test_a_location_is_read_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *url, *user, *host, *port; /* host NULL: refused */
    } cases[] = {
        {"ssh://host", "", "host", ""},
        {"ssh://ann@lock.example.org:2222", "ann", "lock.example.org", "2222"},
        {"ssh://[::1]:22", "", "::1", "22"},
        {"ssh://ann@[fe80::1]", "ann", "fe80::1", ""},
        {"ssh://", "", NULL, ""},
        {"ssh://@host", "", NULL, ""},
        {"ssh://-oProxyCommand=x", "", NULL, ""},
        {"ssh://-x", "", NULL, ""},
        {"ssh://ann@-x", "", NULL, ""},
        {"ssh://-x@host", "", NULL, ""},
        {"ssh://a b@host", "", NULL, ""},
        {"ssh://ann@host@host", "", NULL, ""},
        {"ssh://host:", "", NULL, ""},
        {"ssh://host:0", "", NULL, ""},
        {"ssh://host:65536", "", NULL, ""},
        {"ssh://host:022", "", NULL, ""},
        {"ssh://host:22x", "", NULL, ""},
        {"ssh://host/path", "", NULL, ""},
        {"ssh://host;id", "", NULL, ""},
        {"ssh://ho st", "", NULL, ""},
        {"ssh://[::1", "", NULL, ""},
        {"ssh://[::1]x", "", NULL, ""},
        {"ssh://[]", "", NULL, ""},
        {"ssh://$(id)", "", NULL, ""},
        {"http://host", "", NULL, ""},
        {"host", "", NULL, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct location l;
        bool valid = location_parse(cases[i].url, &l);
        if (valid != (cases[i].host != NULL))
            fail_msg("%s was %s", cases[i].url, valid ? "taken" : "refused");
        if (!valid)
            continue;
        assert_string_equal(l.user, cases[i].user);
        assert_string_equal(l.host, cases[i].host);
        assert_string_equal(l.port, cases[i].port);
    }
}

static void test_long_parts_are_refused(void **state)
{
    (void)state;
    char url[600] = "ssh://";
    struct location l;
    memset(url + 6, 'h', 255);
    assert_true(location_parse(url, &l));
    memset(url + 6, 'h', 256);
    assert_false(location_parse(url, &l));
    memset(url + 6, 'u', 65);
    strcpy(url + 6 + 65, "@host");
    assert_false(location_parse(url, &l));
}

static void test_a_port_of_its_own_stands_in_the_hosts_name(void **state)
{
    (void)state;
    char name[300];
    known_hosts_name("Lock.Example", 22, name, sizeof name);
    assert_string_equal(name, "lock.example");
    known_hosts_name("::1", 2222, name, sizeof name);
    assert_string_equal(name, "[::1]:2222");
}

static int open_with(const char *server, const char *command)
{
    struct lockclient_ssh ssh = {.command = command};
    struct lockclient_config config = {
        .server = server, .scripts = "/nowhere", .user = "ann", .site = "here:/x", .ssh = &ssh};
    CLEANUP_LOCKCLIENT struct lockclient *lc = NULL;
    struct lockclient_error error = {0};
    return lockclient_open(&config, &lc, &error);
}

static void test_a_command_instead_of_libssh_is_words_with_single_spaces(void **state)
{
    (void)state;
    assert_int_equal(open_with("ssh://host", "ssh"), 0);
    assert_int_equal(open_with("ssh://host", "/usr/bin/ssh -o Compression=yes -4"), 0);
    assert_int_equal(open_with("ssh://host", ""), -EINVAL);
    assert_int_equal(open_with("ssh://host", " ssh"), -EINVAL);
    assert_int_equal(open_with("ssh://host", "ssh  -4"), -EINVAL);
    assert_int_equal(open_with("ssh://host x", "ssh"), -EINVAL);
    assert_int_equal(open_with("http://host", NULL), -EINVAL);
}

/* The command gets the words and the input, and what it says comes back. */
static void test_a_command_that_fails_says_why(void **state)
{
    (void)state;
    struct lockclient_ssh ssh = {.command = "/bin/sh -c exit\\ 255"};
    struct lockclient_config config = {.server = "ssh://host",
                                       .scripts = "/nowhere",
                                       .user = "ann",
                                       .site = "here:/x",
                                       .ssh = &ssh};
    struct lockclient_error error = {0};
    CLEANUP_LOCKCLIENT struct lockclient *lc = NULL;
    assert_int_equal(lockclient_open(&config, &lc, &error), 0);
    struct lockclient_list list;
    assert_int_equal(lockclient_list(lc, &list, &error), -EHOSTUNREACH);
    assert_int_equal(error.status, 6);
    lockclient_free(lc);
    ssh.command = "/no/such/program";
    assert_int_equal(lockclient_open(&config, &lc, &error), 0);
    assert_int_equal(lockclient_list(lc, &list, &error), -EHOSTUNREACH);
    assert_int_equal(error.status, 6);
    assert_false(lockclient_asked(lc));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_location_is_read_exactly),
        cmocka_unit_test(test_long_parts_are_refused),
        cmocka_unit_test(test_a_port_of_its_own_stands_in_the_hosts_name),
        cmocka_unit_test(test_a_command_instead_of_libssh_is_words_with_single_spaces),
        cmocka_unit_test(test_a_command_that_fails_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
