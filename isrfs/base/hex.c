/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Digits are computed, not looked up in a table: keys pass through here, and a table's cache lines
 * would tell which digits were used. */
#include "isrfs/base/hex.h"

#include <errno.h>

static char digit(unsigned v)
{
    /* '0' + v, and 39 more ('a' - '0' - 10) when v > 9 */
    return (char)('0' + v + (((9 - v) >> 8) & 39));
}

void hex_encode(char *out, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digit(bytes[i] >> 4);
        out[2 * i + 1] = digit(bytes[i] & 15);
    }
    out[2 * size] = '\0';
}

static int value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int hex_decode(void *data, size_t size, const char *text)
{
    uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        int high = value(text[2 * i]);
        int low = high < 0 ? -1 : value(text[2 * i + 1]);
        if (low < 0)
            return -EINVAL;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return text[2 * size] == '\0' ? 0 : -EINVAL;
}
