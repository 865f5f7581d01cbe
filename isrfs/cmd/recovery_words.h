/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The recovery key as a person sees and types it. */
#ifndef ISRFS_CMD_RECOVERY_WORDS_H
#define ISRFS_CMD_RECOVERY_WORDS_H

#include "isrfs/base/words.h"
#include "isrfs/cmd/cmd.h"

/* On standard output, numbered. FIRST: it was made just now, and why it matters is said too. */
void recovery_words_print(const char words[WORDS_TEXT_SIZE], bool first);

/* Asks for the words at the terminal, or reads them from standard input when that is none. 0, or
 * the exit status with one line said. */
int recovery_words_read(const struct cmd *c, uint8_t ret_key[WORDS_KEY_SIZE]);

#endif
