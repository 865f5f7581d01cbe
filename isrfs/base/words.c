/* SPDX-License-Identifier: GPL-3.0-or-later */
/* 2,048 words are 11 bits each. The first twelve are four zero bits, for forms to come, and the
 * key; the last two make it a Reed-Solomon code over GF(2^11) (x^11 + x^2 + 1, generator a = x): of
 * the words w_0 to w_13
 *
 *   S0 = w_0 + w_1 + ... + w_13 = 0        S1 = w_0 + a w_1 + ... + a^13 w_13 = 0
 *
 * One wrong word at i by e gives S0 = e, S1 = e a^i, and so its place. Two words that changed
 * places give S0 = 0. Two words wrong are always noticed, more but for one time in four million. It
 * is named, not put right: who typed one word wrong should look at all of them. */
#include "isrfs/base/words.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isrfs/base/secret.h"
#include "isrfs/base/words_english.h"

#define DATA_WORDS (WORDS_COUNT - 2)
#define BITS       11u
#define FIELD      (1u << BITS)
#define REDUCE     0x805u /* x^11 + x^2 + 1 */
#define PREFIX     4u
#define LONGEST    8u

static unsigned multiply(unsigned a, unsigned b)
{
    unsigned product = 0;
    for (; b; b >>= 1) {
        product ^= (b & 1) ? a : 0;
        a <<= 1;
        a ^= (a & FIELD) ? REDUCE : 0;
    }
    return product;
}

static unsigned power(unsigned exponent)
{
    unsigned a = 1;
    while (exponent-- > 0)
        a = multiply(a, 2);
    return a;
}

/* By Fermat: a^(2^11 - 2). */
static unsigned inverse(unsigned a)
{
    unsigned result = 1, square = a;
    for (unsigned e = FIELD - 2; e; e >>= 1, square = multiply(square, square))
        if (e & 1)
            result = multiply(result, square);
    return result;
}

static void syndromes(const unsigned word[WORDS_COUNT], unsigned *ret_s0, unsigned *ret_s1)
{
    *ret_s0 = *ret_s1 = 0;
    for (unsigned i = WORDS_COUNT; i-- > 0;) {
        *ret_s0 ^= word[i];
        *ret_s1 = multiply(*ret_s1, 2) ^ word[i];
    }
}

/* w_12 + w_13 = S0, a^12 w_12 + a^13 w_13 = S1 of the words before. */
static void add_checks(unsigned word[WORDS_COUNT])
{
    unsigned s0, s1, a12 = power(DATA_WORDS), a13 = power(DATA_WORDS + 1);
    word[DATA_WORDS] = word[DATA_WORDS + 1] = 0;
    syndromes(word, &s0, &s1);
    word[DATA_WORDS] = multiply(s1 ^ multiply(s0, a13), inverse(a12 ^ a13));
    word[DATA_WORDS + 1] = s0 ^ word[DATA_WORDS];
}

void words_encode(const uint8_t key[WORDS_KEY_SIZE], char ret[WORDS_TEXT_SIZE])
{
    unsigned word[WORDS_COUNT], held = 4, bits = 0, n = 0; /* four zero bits are held */
    for (unsigned i = 0; i < WORDS_KEY_SIZE; i++) {
        bits = bits << 8 | key[i];
        for (held += 8; held >= BITS; held -= BITS)
            word[n++] = bits >> (held - BITS) & (FIELD - 1);
    }
    add_checks(word);
    char *at = ret;
    for (unsigned i = 0; i < WORDS_COUNT; i++)
        at += sprintf(at, "%s%s", i ? " " : "", words_english[word[i]]);
    secret_wipe(word, sizeof word);
    secret_wipe(&bits, sizeof bits);
}

/* --- reading --- */

struct typed {
    char text[LONGEST + 1];
    bool whole; /* else its first four letters */
};

static int compare(const void *key, const void *entry)
{
    const struct typed *typed = key;
    return typed->whole ? strcmp(typed->text, entry) : strncmp(typed->text, entry, PREFIX);
}

static bool find(const char *text, size_t size, unsigned *ret)
{
    struct typed typed = {.whole = true};
    if (size > LONGEST)
        return false;
    for (size_t i = 0; i < size; i++)
        typed.text[i] = (char)tolower((unsigned char)text[i]);
    const char(*found)[9] = bsearch(&typed, words_english, FIELD, sizeof *words_english, compare);
    typed.whole = false;
    if (!found && size == PREFIX)
        found = bsearch(&typed, words_english, FIELD, sizeof *words_english, compare);
    secret_wipe(&typed, sizeof typed);
    *ret = found ? (unsigned)(found - words_english) : 0;
    return found;
}

static int read_words(const char *text, unsigned word[WORDS_COUNT], char *reason)
{
    static const char space[] = " \t\r\n\v\f";
    unsigned count = 0;
    for (const char *at = text + strspn(text, space); *at; at += strspn(at, space)) {
        size_t size = strcspn(at, space);
        bool is_word = !isdigit((unsigned char)*at);
        if (is_word && count < WORDS_COUNT && !find(at, size, &word[count])) {
            snprintf(reason, WORDS_REASON_SIZE, "word %u is none of the words of recovery keys",
                     count + 1);
            return -EBADMSG;
        }
        count += is_word;
        at += size;
    }
    if (count == WORDS_COUNT)
        return 0;
    snprintf(reason, WORDS_REASON_SIZE, "a recovery key has %u words, not %u", WORDS_COUNT, count);
    return -EBADMSG;
}

static int check(const unsigned word[WORDS_COUNT], char *reason)
{
    unsigned s0, s1;
    syndromes(word, &s0, &s1);
    if (s0 == 0 && s1 == 0)
        return 0;
    snprintf(reason, WORDS_REASON_SIZE, "more than one of the words is wrong");
    for (unsigned i = 0; i < WORDS_COUNT; i++) {
        if (s0 != 0 && multiply(s0, power(i)) == s1)
            snprintf(reason, WORDS_REASON_SIZE, "word %u is wrong", i + 1);
        if (s0 == 0 && i + 1 < WORDS_COUNT &&
            multiply(word[i] ^ word[i + 1], power(i) ^ power(i + 1)) == s1)
            snprintf(reason, WORDS_REASON_SIZE, "words %u and %u have changed places", i + 1,
                     i + 2);
    }
    return -EBADMSG;
}

int words_decode(const char *text, uint8_t ret_key[WORDS_KEY_SIZE],
                 char ret_reason[WORDS_REASON_SIZE])
{
    unsigned word[WORDS_COUNT], bits = 0, held = 0, n = 0;
    int r = read_words(text, word, ret_reason);
    r = r < 0 ? r : check(word, ret_reason);
    if (r == 0 && word[0] >> (BITS - 4) != 0) {
        snprintf(ret_reason, WORDS_REASON_SIZE, "this is a recovery key of a later release");
        r = -EBADMSG;
    }
    for (unsigned i = 0; r == 0 && i < DATA_WORDS; i++) {
        bits = bits << BITS | word[i];
        held += i == 0 ? BITS - 4 : BITS;
        for (; held >= 8; held -= 8)
            ret_key[n++] = (uint8_t)(bits >> (held - 8));
    }
    secret_wipe(word, sizeof word);
    secret_wipe(&bits, sizeof bits);
    return r;
}
