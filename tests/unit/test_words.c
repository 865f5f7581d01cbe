/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A recovery key comes back from its words, and a word typed wrong is named by its number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "isrfs/base/words.h"
#include "isrfs/base/words_english.h"

static void make_key(unsigned seed, uint8_t key[WORDS_KEY_SIZE])
{
    for (unsigned i = 0; i < WORDS_KEY_SIZE; i++) {
        seed = seed * 1103515245u + 12345u;
        key[i] = (uint8_t)(seed >> 16);
    }
}

/* Splits TEXT, which is changed. */
static void split(char *text, const char *words[WORDS_COUNT])
{
    for (unsigned i = 0; i < WORDS_COUNT; i++)
        words[i] = strsep(&text, " ");
    assert_null(text);
}

static void join(const char *const words[WORDS_COUNT], char out[WORDS_TEXT_SIZE])
{
    *out = '\0';
    for (unsigned i = 0; i < WORDS_COUNT; i++)
        sprintf(out + strlen(out), "%s%s", i ? " " : "", words[i]);
}

static void refused(const char *text, const char *expected)
{
    uint8_t key[WORDS_KEY_SIZE];
    char reason[WORDS_REASON_SIZE];
    assert_int_equal(words_decode(text, key, reason), -EBADMSG);
    assert_string_equal(reason, expected);
}

static void test_words_give_the_key_back(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 500; seed++) {
        uint8_t key[WORDS_KEY_SIZE], again[WORDS_KEY_SIZE];
        char text[WORDS_TEXT_SIZE], reason[WORDS_REASON_SIZE];
        make_key(seed, key);
        if (seed < 2)
            memset(key, seed ? 0xff : 0, sizeof key);
        words_encode(key, text);
        assert_int_equal(words_decode(text, again, reason), 0);
        assert_memory_equal(key, again, sizeof key);
    }
}

/* So that no release reads the words of another differently. */
static void test_the_words_of_a_key_never_change(void **state)
{
    (void)state;
    uint8_t key[WORDS_KEY_SIZE];
    char text[WORDS_TEXT_SIZE];
    for (unsigned i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(i * 16 + i);
    words_encode(key, text);
    assert_string_equal(text, "abandon ancient match hammer fever crisp timber crew produce toy "
                              "jeans that local defy");
}

static void test_it_may_be_typed_in_many_ways(void **state)
{
    (void)state;
    uint8_t key[WORDS_KEY_SIZE], again[WORDS_KEY_SIZE];
    char text[WORDS_TEXT_SIZE], typed[512] = "", reason[WORDS_REASON_SIZE];
    const char *words[WORDS_COUNT];
    make_key(7, key);
    words_encode(key, text);
    split(text, words);
    for (unsigned i = 0; i < WORDS_COUNT; i++)
        sprintf(typed + strlen(typed), "\n %u. %.*s", i + 1, i % 2 ? 4 : 8, words[i]);
    for (char *p = typed; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    assert_int_equal(words_decode(typed, again, reason), 0);
    assert_memory_equal(key, again, sizeof key);
}

static void test_a_wrong_word_is_named(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WORDS_COUNT; i++) {
        uint8_t key[WORDS_KEY_SIZE];
        char text[WORDS_TEXT_SIZE], wrong[WORDS_TEXT_SIZE], expected[WORDS_REASON_SIZE];
        const char *words[WORDS_COUNT];
        make_key(100 + i, key);
        words_encode(key, text);
        split(text, words);
        const char *right = words[i];
        for (unsigned w = i; w < 2048; w += 97) {
            if (strcmp(words_english[w], right) == 0)
                continue;
            words[i] = words_english[w];
            join(words, wrong);
            snprintf(expected, sizeof expected, "word %u is wrong", i + 1);
            refused(wrong, expected);
        }
        words[i] = "fnord";
        join(words, wrong);
        snprintf(expected, sizeof expected, "word %u is none of the words of recovery keys", i + 1);
        refused(wrong, expected);
    }
}

static void test_words_that_changed_places_are_named(void **state)
{
    (void)state;
    uint8_t key[WORDS_KEY_SIZE];
    char text[WORDS_TEXT_SIZE], wrong[WORDS_TEXT_SIZE];
    const char *words[WORDS_COUNT];
    make_key(3, key);
    words_encode(key, text);
    split(text, words);
    const char *word = words[4];
    words[4] = words[5];
    words[5] = word;
    join(words, wrong);
    refused(wrong, "words 5 and 6 have changed places");
}

static void test_two_wrong_words_are_never_taken(void **state)
{
    (void)state;
    uint8_t key[WORDS_KEY_SIZE], again[WORDS_KEY_SIZE];
    char text[WORDS_TEXT_SIZE], wrong[WORDS_TEXT_SIZE], reason[WORDS_REASON_SIZE];
    make_key(5, key);
    for (unsigned i = 0; i < WORDS_COUNT; i++)
        for (unsigned j = i + 1; j < WORDS_COUNT; j++)
            for (unsigned w = 0; w < 2048; w += 311) {
                const char *words[WORDS_COUNT];
                words_encode(key, text);
                split(text, words);
                words[i] = words_english[w];
                words[j] = words_english[2047 - w];
                join(words, wrong);
                assert_int_equal(words_decode(wrong, again, reason), -EBADMSG);
            }
}

static void test_too_few_and_too_many_are_said(void **state)
{
    (void)state;
    refused("", "a recovery key has 14 words, not 0");
    refused("abandon zoo", "a recovery key has 14 words, not 2");
    char text[1024] = "";
    for (int i = 0; i < 15; i++)
        strcat(text, "zoo ");
    refused(text, "a recovery key has 14 words, not 15");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_give_the_key_back),
        cmocka_unit_test(test_the_words_of_a_key_never_change),
        cmocka_unit_test(test_it_may_be_typed_in_many_ways),
        cmocka_unit_test(test_a_wrong_word_is_named),
        cmocka_unit_test(test_words_that_changed_places_are_named),
        cmocka_unit_test(test_two_wrong_words_are_never_taken),
        cmocka_unit_test(test_too_few_and_too_many_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
