/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A key of 128 bits as fourteen English words, for people to write down and type again. Twelve
 * words say the key, two are a check that finds which word is wrong. Pure functions; any thread may
 * call.
 */
#ifndef ISRFS_BASE_WORDS_H
#define ISRFS_BASE_WORDS_H

#include <stddef.h>
#include <stdint.h>

#define WORDS_KEY_SIZE    16u
#define WORDS_COUNT       14u
#define WORDS_TEXT_SIZE   (WORDS_COUNT * 9u) /* with the spaces between, and the NUL */
#define WORDS_REASON_SIZE 128u

/* The words, lower case, a space between each two. */
void words_encode(const uint8_t key[WORDS_KEY_SIZE], char ret[WORDS_TEXT_SIZE]);

/* Reads them back: small or capital letters, any white space between; a word may be its first four
 * letters, which no two words share; what begins with a digit is passed over (a numbered list). 0,
 * or -EBADMSG and a line in RET_REASON that names the wrong word by its number and tells nothing of
 * the others. */
int words_decode(const char *text, uint8_t ret_key[WORDS_KEY_SIZE],
                 char ret_reason[WORDS_REASON_SIZE]);

#endif
