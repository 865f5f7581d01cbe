/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each part has a pattern of its own; what follows the last part must be the end. */
#include "lockclient/location.h"

#include <stdlib.h>
#include <string.h>

#include "lockclient/message.h"

#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static bool take(char *out, size_t room, const char *from, size_t size)
{
    if (size == 0 || size >= room)
        return false;
    memcpy(out, from, size);
    out[size] = '\0';
    return true;
}

bool location_parse(const char *url, struct location *ret)
{
    *ret = (struct location){0};
    if (strncmp(url, "ssh://", 6) != 0)
        return false;
    const char *at = strchr(url + 6, '@');
    const char *host = at ? at + 1 : url + 6;
    if (at && (!take(ret->user, sizeof ret->user, url + 6, (size_t)(at - url - 6)) ||
               !message_name_valid(ret->user)))
        return false;
    bool brackets = *host == '[';
    host += brackets;
    size_t size = strspn(host, brackets ? DIGITS "abcdefABCDEF:." : LETTERS DIGITS ".-");
    if (*host == '-' || !take(ret->host, sizeof ret->host, host, size))
        return false;
    const char *rest = host + size;
    if (brackets && *rest++ != ']')
        return false;
    if (!*rest)
        return true;
    size = *rest == ':' ? strspn(rest + 1, DIGITS) : 0;
    return size > 0 && rest[1 + size] == '\0' && rest[1] != '0' &&
           take(ret->port, sizeof ret->port, rest + 1, size) && atoi(ret->port) <= 65535;
}
