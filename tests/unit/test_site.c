/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The state folder is refused where others could change it; what names a parcel is read exactly,
 * and each parcel has one place at this site. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "isrfs/base/io.h"
#include "isrfs/store/remote.h"
#include "isrfs/sync/home.h"
#include "isrfs/sync/site.h"

struct bench {
    char *folder; /* of this test, resolved */
    struct site *site;
};

static int set_up(void **state)
{
    char template[] = "/tmp/test_site.XXXXXX";
    struct bench *b = calloc(1, sizeof *b);
    char *folder = mkdtemp(template);
    if (!b || !folder)
        return -1;
    b->folder = realpath(folder, NULL);
    unsetenv("ISR_LOCKSRV");
    unsetenv("ISR_USER");
    *state = b;
    return b->folder && chdir(b->folder) == 0 && mkdir("home", 0700) == 0 &&
                   setenv("ISR_HOME", "home", 1) == 0
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    site_close(b->site);
    chmod(b->folder, 0700);
    int r = chdir("/") < 0 ? -1 : io_remove_tree(AT_FDCWD, b->folder);
    free(b->folder);
    free(b);
    return r;
}

static void write_file(const char *path, const char *text)
{
    assert_int_equal(io_replace(AT_FDCWD, path, text, strlen(text), 0600, false), 0);
}

static void open_site(struct bench *b)
{
    assert_int_equal(site_open(&b->site), 0);
}

static void test_a_folder_that_others_may_write_is_refused(void **state)
{
    struct bench *b = *state;
    const struct {
        const char *path;
        mode_t mode;
        int result;
    } cases[] = {
        {"home", 0720, -EPERM}, {"home", 0702, -EPERM}, {"home", 01777, -EPERM}, {"home", 0755, 0},
        {".", 0777, -EPERM},    {".", 0770, -EPERM},    {".", 01777, 0},         {".", 0755, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(chmod(".", 0700), 0);
        assert_int_equal(chmod("home", 0700), 0);
        assert_int_equal(chmod(cases[i].path, cases[i].mode), 0);
        assert_int_equal(site_open(&b->site), cases[i].result);
        site_close(b->site);
        b->site = NULL;
    }
}

static void test_a_missing_state_folder_is_made_for_the_user_alone(void **state)
{
    struct bench *b = *state;
    struct stat st;
    assert_int_equal(rmdir("home"), 0);
    open_site(b);
    assert_int_equal(stat("home", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_non_null(strstr(b->site->name, b->site->home));
}

static void test_settings_are_a_fixed_list(void **state)
{
    struct bench *b = *state;
    write_file("home/isr.conf", "# mine\nCOMPRESSION:=zlib\nPADDING:=padme\n");
    open_site(b);
    struct codec_settings settings;
    assert_int_equal(site_codec_settings(b->site, &settings), 0);
    assert_int_equal(settings.method, CODEC_ZLIB);
    assert_int_equal(settings.pad, CODEC_PAD_PADME);
    assert_string_equal(site_setting(b->site, "VMM", "qemu"), "qemu");
    site_close(b->site);
    b->site = NULL;
    write_file("home/isr.conf", "COMPRESION:=zlib\n");
    assert_int_equal(site_open(&b->site), -EBADMSG);
    write_file("home/isr.conf", "COMPRESSION:=lzma\n");
    open_site(b);
    assert_int_equal(site_codec_settings(b->site, &settings), -EINVAL);
}

static void test_sources_are_read_exactly(void **state)
{
    struct bench *b = *state;
    open_site(b);
    static const struct {
        const char *text, *server, *user, *parcel; /* server NULL: refused */
        uint64_t version;
    } cases[] = {
        {"/tmp:vm", "/tmp", NULL, "vm", 0},
        {"/tmp/../tmp/.:vm@7", "/tmp", NULL, "vm", 7},
        {"/tmp/a:colon:vm", "/tmp/a:colon", NULL, "vm", 0},
        {"host:vm", "ssh://host", NULL, "vm", 0},
        {"ann@host:22:vm@12", "ssh://ann@host:22", "ann", "vm", 12},
        {"ssh://ann@host.example:vm", "ssh://ann@host.example", "ann", "vm", 0},
        {"ssh://[::1]:22:vm", "ssh://[::1]:22", NULL, "vm", 0},
        {"", NULL, NULL, NULL, 0},
        {":vm", NULL, NULL, NULL, 0},
        {"/tmp:", NULL, NULL, NULL, 0},
        {"http://host:vm", NULL, NULL, NULL, 0},
        {"-oProxyCommand=x:vm", NULL, NULL, NULL, 0},
        {"a@-oProxyCommand=x:vm", NULL, NULL, NULL, 0},
        {"host:99999:vm", NULL, NULL, NULL, 0},
        {"a b@host:vm", NULL, NULL, NULL, 0},
        {"../vm", NULL, NULL, NULL, 0},
        {"vm@", NULL, NULL, NULL, 0},
        {"vm@0", NULL, NULL, NULL, 0},
        {"vm@01", NULL, NULL, NULL, 0},
        {"vm@1x", NULL, NULL, NULL, 0},
        {"vm@9999999999999999", NULL, NULL, NULL, 0},
        {"vm@1@2", NULL, NULL, NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct source s;
        int r = source_parse(b->site, cases[i].text, NULL, NULL, &s);
        assert_int_equal(r, cases[i].server ? 0 : -EINVAL);
        if (r < 0)
            continue;
        assert_string_equal(s.server, cases[i].server);
        assert_string_equal(s.user, cases[i].user ? cases[i].user : b->site->user);
        assert_string_equal(s.parcel, cases[i].parcel);
        assert_int_equal(s.version, cases[i].version);
        source_free(&s);
    }
}

static void expect_server(const struct bench *b, const char *locksrv, const char *server)
{
    struct source s;
    assert_int_equal(source_parse(b->site, "vm", locksrv, NULL, &s), 0);
    assert_string_equal(s.server, server);
    source_free(&s);
}

static void test_the_option_goes_before_the_environment_and_that_before_the_settings(void **state)
{
    struct bench *b = *state;
    open_site(b);
    CLEANUP_FREE char *locksrv = NULL;
    assert_true(asprintf(&locksrv, "%s/home/locksrv", b->folder) > 0);
    expect_server(b, NULL, locksrv);
    site_close(b->site);
    b->site = NULL;
    write_file("home/isr.conf", "LOCKSRV:=ssh://conf\n");
    open_site(b);
    expect_server(b, NULL, "ssh://conf");
    setenv("ISR_LOCKSRV", "ssh://environment", 1);
    expect_server(b, NULL, "ssh://environment");
    expect_server(b, "ssh://option", "ssh://option");
    struct source s;
    assert_int_equal(source_parse(b->site, "host:vm", "ssh://option", NULL, &s), -EINVAL);
}

static int count(void *ctx, const struct source *source)
{
    unsigned *seen = ctx;
    *seen += strcmp(source->parcel, "server") == 0    ? 1
             : strcmp(source->user, "ann") == 0       ? 10
             : strcmp(source->server, "/tmp") == 0    ? 100
             : strncmp(source->server, "ssh", 3) == 0 ? 1000
                                                      : 100000;
    return 0;
}

static void test_each_parcel_has_one_place_and_is_found_again(void **state)
{
    struct bench *b = *state;
    open_site(b);
    static const char *const names[][2] = {
        {"/tmp:server", NULL}, {"/tmp:vm", "ann"}, {"/tmp:vm", "bob"}, {"bob@host:22:vm", NULL}};
    unsigned seen = 0;
    assert_int_equal(site_each_parcel(b->site, count, &seen), 0);
    assert_int_equal(seen, 0);
    for (size_t i = 0; i < 4; i++) {
        struct source s;
        assert_int_equal(source_parse(b->site, names[i][0], NULL, names[i][1], &s), 0);
        assert_int_equal(site_make_parcel_folder(b->site, &s), 0);
        assert_int_equal(site_make_parcel_folder(b->site, &s), 0);
        source_free(&s);
    }
    assert_int_equal(site_each_parcel(b->site, count, &seen), 0);
    assert_int_equal(seen, 1111);
}

static void test_a_home_is_an_absolute_path_or_refused_by_name(void **state)
{
    struct bench *b = *state;
    struct failure failure;
    char *url = NULL;
    CLEANUP_FREE char *expected = NULL;
    assert_true(asprintf(&expected, "FILE://%s/home/new store", b->folder) > 0);
    assert_int_equal(home_url("home/../home/new store", &url, &failure), 0);
    assert_string_equal(url, expected);
    assert_string_equal(home_folder(url, &failure), expected + strlen("FILE://"));
    free(url);
    assert_string_equal(home_folder("file:///x", &failure), "/x");
    assert_null(home_folder("FILE://x", &failure));
    assert_null(home_folder("CODA:///coda/x", &failure));
    assert_non_null(strstr(failure.text, "CODA"));
    if (!remote_is_needed(b->folder)) /* else nothing is looked at */
        assert_true(home_url("no/such/folder", &url, &failure) < 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_folder_that_others_may_write_is_refused),
        TEST(test_a_missing_state_folder_is_made_for_the_user_alone),
        TEST(test_settings_are_a_fixed_list),
        TEST(test_sources_are_read_exactly),
        TEST(test_the_option_goes_before_the_environment_and_that_before_the_settings),
        TEST(test_each_parcel_has_one_place_and_is_found_again),
        TEST(test_a_home_is_an_absolute_path_or_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
