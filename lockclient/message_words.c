/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The words that both ends check. isr_shell starts for each command, and needs no more than these.
 */
#include <string.h>

#include "lockclient/message.h"

#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

bool message_name_valid(const char *name)
{
    size_t i = 0;
    for (; name[i]; i++)
        if (i + 1 == LOCKCLIENT_NAME_SIZE ||
            !strchr(i > 0 ? LETTERS DIGITS "._-" : LETTERS DIGITS, name[i]))
            return false;
    return i > 0;
}

bool message_nonce_valid(const char *nonce)
{
    if (strnlen(nonce, LOCKCLIENT_NONCE_SIZE) == LOCKCLIENT_NONCE_SIZE)
        return false;
    for (int i = 0; i < 3; i++) {
        size_t digits = strspn(nonce, DIGITS);
        if (digits == 0 || digits > 15 || (nonce[0] == '0' && digits > 1) || nonce[digits] != '-')
            return false;
        nonce += digits + 1;
    }
    return strspn(nonce, DIGITS "abcdef") == 32 && nonce[32] == '\0';
}
