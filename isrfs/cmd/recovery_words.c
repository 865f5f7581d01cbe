/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The words are never among arguments or in the environment, and no message repeats one. At the
 * terminal they are shown as they are typed: they are many, and who types them has them on paper.
 */
#include "isrfs/cmd/recovery_words.h"

#include <stdio.h>
#include <string.h>

#include "isrfs/base/secret.h"
#include "lockclient/terminal.h"

#define TYPED_SIZE 1024u
#define COLUMNS    2u

static const char rule[] = "----------------------------------------------------------------------";

static void print_columns(const char *words)
{
    const char *at[WORDS_COUNT];
    for (unsigned i = 0; i < WORDS_COUNT; i++) {
        at[i] = words;
        words += strcspn(words, " ");
        words += *words == ' ';
    }
    unsigned lines = WORDS_COUNT / COLUMNS;
    for (unsigned i = 0; i < lines; i++) {
        for (unsigned n = i; n < WORDS_COUNT; n += lines)
            printf("   %2u %-12.*s", n + 1, (int)strcspn(at[n], " "), at[n]);
        putchar('\n');
    }
}

void recovery_words_print(const char words[WORDS_TEXT_SIZE], bool first)
{
    printf("\n%s\n%s\n\n", rule, "   YOUR RECOVERY KEY");
    print_columns(words);
    puts("\n   Write these words on paper and keep it away from this machine. With them and\n"
         "   the store alone, all your parcels can be brought back when the lock server is\n"
         "   lost. Whoever has both can read everything.");
    if (first)
        puts("   They are shown this once; isr recovery-key shows them again.");
    printf("%s\n", rule);
}

/* Standard input up to its end, or as much as no recovery key is. */
static int read_input(char text[TYPED_SIZE])
{
    size_t size = 0;
    while (size + 1 < TYPED_SIZE) {
        ssize_t n = read(STDIN_FILENO, text + size, TYPED_SIZE - 1 - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        size += (size_t)n;
    }
    text[size] = '\0';
    return memchr(text, '\0', size) ? -EBADMSG : 0;
}

int recovery_words_read(const struct cmd *c, uint8_t ret_key[WORDS_KEY_SIZE])
{
    CLEANUP_SECRET char *text = secret_alloc(TYPED_SIZE);
    char reason[WORDS_REASON_SIZE];
    if (!text) {
        cmd_say(c, "out of memory");
        return OUTCOME_FAILED;
    }
    int r = isatty(STDIN_FILENO)
                ? terminal_ask("The words of the recovery key: ", true, text, TYPED_SIZE)
                : read_input(text);
    if (r < 0) {
        cmd_say(c, "the recovery key cannot be read: %s", strerror(-r));
        return OUTCOME_FAILED;
    }
    if (words_decode(text, ret_key, reason) == 0)
        return 0;
    cmd_say(c, "%s", reason);
    return OUTCOME_FAILED;
}
