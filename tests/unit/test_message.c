/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lock server's messages: what is built is what the server takes, and of what it answers
 * nothing is taken that is not exactly of its form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "lockclient/message.h"
#include "tests/unit/lock_samples.h"

#define HEX64  HEX32 HEX32
#define HEX128 HEX64 HEX64

/* --- words and requests --- */

static void test_names_and_nonces_are_exact(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "Z9", "0", "my.vm_1-x"};
    static const char *const bad[] = {"",          ".",    "..",   "-rf", ".hidden", "_x",
                                      "a b",       "a/b",  "a\nb", "a;b", "$(id)",   "*",
                                      "a\xc3\xa4", "a%20", "a'b",  "a\"", "../etc",  "a\x1b"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(message_name_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(message_name_valid(bad[i]));
    char longest[66];
    memset(longest, 'a', 65);
    longest[64] = '\0';
    assert_true(message_name_valid(longest));
    longest[64] = 'a';
    longest[65] = '\0';
    assert_false(message_name_valid(longest));

    assert_true(message_nonce_valid(NONCE));
    static const char *const bad_nonces[] = {
        "",
        "1-1-1",
        "1-1-1-",
        "1-1-1-" HEX32 "0",
        "1-1-1-" HEX32 "-",
        "1-1--" HEX32,
        "-1-1-1-" HEX32,
        "01-1-1-" HEX32,
        "1-1-1-0123456789ABCDEF0123456789ABCDEF",
        "1-1-1-" HEX32 "\n",
        "1234567890123456-1-1-" HEX32,
    };
    for (size_t i = 0; i < sizeof bad_nonces / sizeof *bad_nonces; i++)
        assert_false(message_nonce_valid(bad_nonces[i]));
}

static void test_requests_carry_peoples_text_encoded(void **state)
{
    (void)state;
    CLEANUP_SECRET_BUFFER struct buffer out = {0};
    const char *reason = NULL;
    assert_int_equal(message_build_site("host:/home/ann x\n", &out, &reason), 0);
    assert_int_equal(buffer_terminate(&out), 0);
    assert_string_equal((char *)out.data, "SITE:=host:/home/ann%20x%0A\n");

    out.size = 0;
    struct lockclient_publish p = {.version = {keyroot_a, 10, 5, "é\x1b[31m;$(id)"}, .base = 4};
    assert_int_equal(message_build_publish(&p, "h:/x", &out, &reason), 0);
    assert_int_equal(buffer_terminate(&out), 0);
    assert_non_null(strstr((char *)out.data, "BASE:=4\nCONSISTENT:=no\nKEYROOT:=01020300"));
    assert_non_null(strstr((char *)out.data, "COMMENT:=%C3%A9%1B%5B31m%3B%24%28id%29\n"));
}

static void test_requests_that_the_server_would_refuse_are_not_built(void **state)
{
    (void)state;
    static const struct {
        const char *uuid, *store, *src, *key;
    } bad[] = {
        {"short", HEX32, "FILE:///x", "UUID"},
        {HEX32 "0", HEX32, "FILE:///x", "UUID"},
        {HEX32, "0123456789ABCDEF0123456789ABCDEF", "FILE:///x", "STORE"},
        {HEX32, HEX32, "/no/scheme", "SRC"},
        {HEX32, HEX32, "FILE://", "SRC"},
        {HEX32, HEX32, "9P://x", "SRC"},
        {HEX32, HEX32, "FILE:///a\nb", "SRC"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CLEANUP_SECRET_BUFFER struct buffer out = {0};
        struct lockclient_create c = a_create();
        c.uuid = bad[i].uuid;
        c.store = bad[i].store;
        c.src = bad[i].src;
        const char *reason = NULL;
        assert_int_equal(message_build_create(&c, "h:/x", &out, &reason), -EINVAL);
        assert_string_equal(reason, bad[i].key);
    }
    char comment[1100];
    memset(comment, 'x', sizeof comment - 1);
    comment[sizeof comment - 1] = '\0';
    struct lockclient_create c = a_create();
    c.version.comment = comment;
    CLEANUP_SECRET_BUFFER struct buffer out = {0};
    const char *reason = NULL;
    assert_int_equal(message_build_create(&c, "h:/x", &out, &reason), -EINVAL);
    assert_string_equal(reason, "COMMENT");
}

/* --- replies, pure --- */

/* One for each parser: whether the reply is taken. */
static bool takes_user(const char *text, size_t size)
{
    struct lockclient_user ret;
    const char *reason = NULL;
    int r = message_parse_user(text, size, &ret, &reason);
    assert_true(r == 0 || (r == -EBADMSG && reason));
    return r == 0;
}

static bool takes_cfg(const char *text, size_t size)
{
    struct lockclient_parcel_cfg ret;
    const char *reason = NULL;
    int r = message_parse_parcel_cfg(text, size, "vm", &ret, &reason);
    assert_true(r == 0 || (r == -EBADMSG && reason));
    return r == 0;
}

static bool takes_keyroot(const char *text, size_t size)
{
    struct lockclient_keyroot ret;
    const char *reason = NULL;
    int r = message_parse_keyroot(text, size, 7, &ret, &reason);
    assert_true(r == 0 || (r == -EBADMSG && reason));
    return r == 0;
}

static bool takes_lock(const char *text, size_t size)
{
    struct lockclient_lock ret;
    const char *reason = NULL;
    int r = message_parse_lock(text, size, NONCE, &ret, &reason);
    assert_true(r == 0 || (r == -EBADMSG && reason));
    return r == 0;
}

static bool takes_check(const char *text, size_t size)
{
    struct lockclient_check ret;
    const char *reason = NULL;
    int r = message_parse_check(text, size, &ret, &reason);
    assert_true(r == 0 || (r == -EBADMSG && reason));
    return r == 0;
}

static bool takes_version(const char *text, size_t size)
{
    const char *reason = NULL;
    int r = message_parse_version(text, size, 7, &reason);
    assert_true(r == 0 || (r == -EBADMSG && reason));
    return r == 0;
}

static bool takes_broken(const char *text, size_t size)
{
    struct lockclient_broken ret;
    const char *reason = NULL;
    int r = message_parse_broken(text, size, &ret, &reason);
    assert_true(r == 0 || (r == -EBADMSG && reason));
    return r == 0;
}

static bool takes_failure(const char *text, size_t size)
{
    struct message_failure ret;
    const char *reason = NULL;
    int r = message_parse_failure(text, size, &ret, &reason);
    assert_true(r == 0 || (r == -EBADMSG && reason));
    return r == 0;
}

static bool takes_held(const char *text, size_t size)
{
    struct lockclient_held ret;
    const char *reason = NULL;
    int r = message_parse_held(text, size, &ret, &reason);
    assert_true(r == 0 || (r == -EBADMSG && reason));
    return r == 0;
}

static bool takes_done(const char *text, size_t size)
{
    const char *reason = NULL;
    int r = message_parse_done(text, size, "PRUNED", &reason);
    assert_true(r == 0 || (r == -EBADMSG && reason));
    return r == 0;
}

static bool takes_forgotten(const char *text, size_t size)
{
    struct lockclient_forgotten ret;
    const char *reason = NULL;
    int r = message_parse_forgotten(text, size, &ret, &reason);
    assert_true(r == 0 || (r == -EBADMSG && reason));
    free(ret.gone);
    return r == 0;
}

static bool takes_list(const char *text, size_t size)
{
    struct lockclient_list ret;
    const char *reason = NULL;
    int r = message_parse_list(text, size, &ret, &reason);
    assert_true(r == 0 || (r == -EBADMSG && reason));
    message_list_free(&ret);
    return r == 0;
}

static bool takes_history(const char *text, size_t size)
{
    struct lockclient_history ret;
    const char *reason = NULL;
    int r = message_parse_history(text, size, &ret, &reason);
    assert_true(r == 0 || (r == -EBADMSG && reason));
    message_history_free(&ret);
    return r == 0;
}

#define USER    "SECRET:=" HEX64 "\nEPOCH:=1\nDEFAULT_SRC:=FILE:///a%20b\n"
#define CFG     "PARCEL:=vm\nUUID:=" HEX32 "\nSRC:=FILE:///x\nSTORE:=" HEX32 "\nVERSION:=7\nEPOCH:=1\n"
#define KEYROOT "KEYROOT:=" HEX128 "\nSECRET:=" HEX64 "\nVERSION:=7\n"
#define LOCK    "NONCE:=" NONCE "\nSESSION:=" HEX64 "\nVERSION:=7\nSINCE:=5\n"
#define HOLDER  "HOLDER_USER:=ann\nHOLDER_SITE:=h:/x\nHOLDER_SINCE:=5\n"

struct sample {
    bool (*takes)(const char *text, size_t size);
    const char *text;
};

static const struct sample good_replies[] = {
    {takes_user, USER},
    {takes_cfg, CFG},
    {takes_keyroot, KEYROOT},
    {takes_lock, LOCK},
    {takes_check, "STATE:=held\nVERSION:=3\nSESSION:=" HEX64 "\n"},
    {takes_check, "STATE:=published\nVERSION:=4\nSESSION:=" HEX64 "\n"},
    {takes_check, "STATE:=released\nSESSION:=" HEX64 "\n"},
    {takes_check, "STATE:=broken\nSESSION:=" HEX64 "\n"},
    {takes_check, "STATE:=broken\n"},
    {takes_check, "STATE:=unknown\n"},
    {takes_version, "VERSION:=7\n"},
    {takes_broken, "BROKEN:=" NONCE "\n" HOLDER "HOLDER_SEEN:=9\n"},
    {takes_broken, "HELD:=no\n"},
    {takes_broken, "WITHHELD:=" NONCE "\nHELD:=no\n"},
    {takes_broken, "BROKEN:=" NONCE "\nBEFORE:=1\n"},
    {takes_held, "HELD:=no\n"},
    {takes_held, "HOLDER:=01234567\n" HOLDER "NEEDED:=3\n"},
    {takes_done, "PRUNED:=1\n"},
    {takes_forgotten, ""},
    {takes_forgotten, HEX32 " 3\n" HEX32 " all\n"},
    {takes_failure, ""},
    {takes_failure, HOLDER},
    {takes_failure, "STALE:=1\n"},
    {takes_list, ""},
    {takes_list, "vm 3 1700000000 - 1000\nvm2 1 1700000000 ann@host 0\n"},
    {takes_history, "1 5 10 20 yes h:/x -\n3 6 0 20 no h:/x a%20b\n"},
};

static void test_good_replies_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_replies / sizeof *good_replies; i++)
        assert_true(good_replies[i].takes(good_replies[i].text, strlen(good_replies[i].text)));
}

static void test_replies_with_anything_wrong_are_refused(void **state)
{
    (void)state;
    static const struct sample bad[] = {
        {takes_user, ""},
        {takes_user, "EPOCH:=1\nDEFAULT_SRC:=FILE:///x\n"},
        {takes_user, "SECRET:=" HEX32 "\nEPOCH:=1\nDEFAULT_SRC:=FILE:///x\n"},
        {takes_user, "SECRET:=" HEX64 "0\nEPOCH:=1\nDEFAULT_SRC:=FILE:///x\n"},
        {takes_user, "SECRET:=" HEX64 "\nEPOCH:=-1\nDEFAULT_SRC:=FILE:///x\n"},
        {takes_user, "SECRET:=" HEX64 "\nEPOCH:=99999999999999999999999\nDEFAULT_SRC:=FILE:///x\n"},
        {takes_user, "SECRET:=" HEX64 "\nEPOCH:=1\nDEFAULT_SRC:=/x\n"},
        {takes_user, "SECRET:=" HEX64 "\nEPOCH:=1\nDEFAULT_SRC:=FILE:///%zz\n"},
        {takes_user, "SECRET:=" HEX64 "\nEPOCH:=1\nDEFAULT_SRC:=FILE:///a%00b\n"},
        {takes_user, "SECRET:=" HEX64 "\nEPOCH:=1\nDEFAULT_SRC:=FILE:///a%1B[2Jb\n"},
        {takes_user, USER "EPOCH:=1\n"},
        {takes_user, USER "MORE:=1\n"},
        {takes_user, USER "not a pair\n"},
        {takes_cfg, "UUID:=" HEX32 "\nSRC:=FILE:///x\nSTORE:=" HEX32 "\nVERSION:=7\nEPOCH:=1\n"},
        {takes_cfg, "PARCEL:=other\nUUID:=" HEX32 "\nSRC:=FILE:///x\nSTORE:=" HEX32
                    "\nVERSION:=7\nEPOCH:=1\n"},
        {takes_cfg,
         "PARCEL:=vm\nUUID:=../../../../../../../etc/passwd.\nSRC:=FILE:///x\nSTORE:=" HEX32
         "\nVERSION:=7\nEPOCH:=1\n"},
        {takes_cfg,
         "PARCEL:=vm\nUUID:=" HEX32 "\nSRC:=FILE:///x\nSTORE:=" HEX32 "\nVERSION:=0\nEPOCH:=1\n"},
        {takes_keyroot, "KEYROOT:=" HEX64 "\nSECRET:=" HEX64 "\nVERSION:=7\n"},
        {takes_keyroot, "KEYROOT:=" HEX128 "00\nSECRET:=" HEX64 "\nVERSION:=7\n"},
        {takes_keyroot, "KEYROOT:=" HEX128 "\nSECRET:=" HEX64 "\nVERSION:=8\n"},
        {takes_keyroot, "KEYROOT:=" HEX128 "\nVERSION:=7\n"},
        {takes_lock, "NONCE:=" OTHER "\nSESSION:=" HEX64 "\nVERSION:=7\nSINCE:=5\n"},
        {takes_lock, "NONCE:=" NONCE "\nVERSION:=7\nSINCE:=5\n"},
        {takes_lock, "NONCE:=" NONCE "\nSESSION:=" HEX64 "\nVERSION:=7\nSINCE:=soon\n"},
        {takes_check, "STATE:=perhaps\n"},
        {takes_check, "STATE:=held\nSESSION:=" HEX64 "\n"},
        {takes_check, "STATE:=held\nVERSION:=3\n"},
        {takes_check, "STATE:=unknown\nSESSION:=" HEX64 "\n"},
        {takes_check, "STATE:=broken\nVERSION:=3\n"},
        {takes_version, "VERSION:=8\n"},
        {takes_version, ""},
        {takes_broken, "BROKEN:=" NONCE "\n"},
        {takes_broken, "BROKEN:=../x\n" HOLDER},
        {takes_broken, "HELD:=yes\n"},
        {takes_broken, "BROKEN:=" NONCE "\nBEFORE:=2\n"},
        {takes_held, ""},
        {takes_held, "HELD:=yes\n"},
        {takes_held, "HOLDER:=0123456\n" HOLDER "NEEDED:=3\n"},
        {takes_held, "HOLDER:=0123456.\n" HOLDER "NEEDED:=3\n"},
        {takes_held, "HOLDER:=01234567\nNEEDED:=3\n"},
        {takes_held, "HOLDER:=01234567\n" HOLDER},
        {takes_held, "HELD:=no\nHOLDER:=01234567\n" HOLDER "NEEDED:=3\n"},
        {takes_done, ""},
        {takes_done, "PRUNED:=0\n"},
        {takes_done, "REMOVED:=1\n"},
        {takes_forgotten, HEX32 " 3"},
        {takes_forgotten, HEX32 "\n"},
        {takes_forgotten, HEX32 " 0\n"},
        {takes_forgotten, HEX32 " -1\n"},
        {takes_forgotten, HEX32 " 3 4\n"},
        {takes_forgotten, HEX32 " all all\n"},
        {takes_forgotten, HEX32 " 3333333333333333333\n"},
        {takes_forgotten, "../../../../../../../../../../.. all\n"},
        {takes_forgotten, HEX64 " all\n"},
        {takes_failure, "HOLDER_USER:=ann\n"},
        {takes_failure, "HOLDER_USER:=../ann\nHOLDER_SITE:=h\nHOLDER_SINCE:=5\n"},
        {takes_failure, "HOLDER_USER:=ann\nHOLDER_SITE:=h\x1b[31m\nHOLDER_SINCE:=5\n"},
        {takes_list, "vm 3 1700000000 - 1000"},
        {takes_list, "\n"},
        {takes_list, "vm 3 1700000000 -\n"},
        {takes_list, "vm 3 1700000000 - 1000 \n"},
        {takes_list, "vm 3 1700000000 - 1000 more\n"},
        {takes_list, "vm  3 1700000000 - 1000\n"},
        {takes_list, "../vm 3 1700000000 - 1000\n"},
        {takes_list, "vm 3 1700000000 a%0 1000\n"},
        {takes_list, "vm 3333333333333333333 1700000000 - 1000\n"},
        {takes_list, "vm 3 1700000000 a\x1b[31m 1000\n"},
        {takes_history, "1 5 10 20 maybe h:/x -\n"},
        {takes_history, "2 5 10 20 yes h:/x -\n2 6 10 20 yes h:/x -\n"},
        {takes_history, "2 5 10 20 yes h:/x -\n1 6 10 20 yes h:/x -\n"},
        {takes_history, "0 5 10 20 yes h:/x -\n"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (bad[i].takes(bad[i].text, strlen(bad[i].text)))
            fail_msg("taken: %s", bad[i].text);
}

static void test_endless_lines_are_refused(void **state)
{
    (void)state;
    size_t size = 200000;
    CLEANUP_FREE char *text = malloc(size);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof good_replies / sizeof *good_replies; i++) {
        memset(text, 'A', size);
        assert_false(good_replies[i].takes(text, size));
        text[size - 1] = '\n';
        assert_false(good_replies[i].takes(text, size));
        assert_false(good_replies[i].takes(text + size - 5000, 5000));
    }
    memcpy(text, "vm 3 5 ", 7);
    assert_false(takes_list(text, size));
}

static void test_binary_replies_never_crash_or_pass_a_nul(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u; /* xorshift: the same bytes in each run */
    for (int round = 0; round < 20000; round++) {
        const struct sample *s =
            &good_replies[(size_t)round % (sizeof good_replies / sizeof *good_replies)];
        char text[1024] = "";
        size_t size = strlen(s->text);
        memcpy(text, s->text, size);
        if (size == 0)
            size = 16;
        for (int i = 0; i < 1 + round % 7; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            text[x % size] = (char)(x >> 32);
            if (i == 5)
                size = 1 + x % size;
        }
        s->takes(text, size);
        for (char *hash = text; (hash = memchr(hash, '#', size - (size_t)(hash - text)));)
            *hash = 'x'; /* remarks are skipped, whatever stands in them */
        text[x % size] = '\0';
        assert_false(s->takes(text, size));
    }
}

static void test_holders_and_comments_cannot_drive_a_terminal(void **state)
{
    (void)state;
    const char text[] = "HOLDER_USER:=ann\nHOLDER_SITE:=h%1B]0;x%07%0Ay\nHOLDER_SINCE:=5\n";
    struct message_failure told;
    const char *reason = NULL;
    assert_int_equal(message_parse_failure(text, strlen(text), &told, &reason), 0);
    assert_string_equal(told.holder.site, "h?]0;x??y");
    const char rows[] = "1 5 10 20 yes h%1B%5B2J a%1B%5B31mb\n";
    struct lockclient_history history;
    assert_int_equal(message_parse_history(rows, strlen(rows), &history, &reason), 0);
    assert_string_equal(history.versions[0].site, "h?[2J");
    assert_string_equal(history.versions[0].comment, "a?[31mb");
    message_history_free(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_nonces_are_exact),
        cmocka_unit_test(test_requests_carry_peoples_text_encoded),
        cmocka_unit_test(test_requests_that_the_server_would_refuse_are_not_built),
        cmocka_unit_test(test_good_replies_are_taken),
        cmocka_unit_test(test_replies_with_anything_wrong_are_refused),
        cmocka_unit_test(test_endless_lines_are_refused),
        cmocka_unit_test(test_binary_replies_never_crash_or_pass_a_nul),
        cmocka_unit_test(test_holders_and_comments_cannot_drive_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
