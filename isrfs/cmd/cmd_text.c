/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Texts by people for people: what they may be, and how they are shown. They are kept as they were
 * given; only on the way to a terminal is anything replaced. */
#include <locale.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "isrfs/base/keyvalue.h"
#include "isrfs/cmd/cmd.h"

static bool has_control(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
            return true;
    return false;
}

int cmd_text(const struct cmd *c, const char *name, const char **ret)
{
    const char *text = cmd_value(c, name);
    *ret = text && *text ? text : NULL;
    if (!*ret)
        return 0;
    CLEANUP_JSON json_t *utf8 = json_string(text);
    if (!utf8 || has_control(text))
        return cmd_usage(c, "--%s must be one line of UTF-8 text without control characters", name);
    CLEANUP_FREE char *encoded = percent_encode(text);
    if (encoded && strlen(encoded) <= KEYVALUE_VALUE_MAX)
        return 0;
    return cmd_usage(c,
                     "--%s is too long: all but letters, digits and ._/@:,+- counts three times, "
                     "and %d is the most",
                     name, KEYVALUE_VALUE_MAX);
}

/* Marks that turn the direction of text, and others that show nothing. */
static bool is_hidden(wchar_t w)
{
    return (w >= 0x200b && w <= 0x200f) || (w >= 0x2028 && w <= 0x202e) ||
           (w >= 0x2060 && w <= 0x206f) || w == 0xfeff || w == 0xad;
}

char *cmd_showable(const char *plain)
{
    setlocale(LC_CTYPE, "");
    size_t left = strlen(plain), length = 0;
    char *out = malloc(left + 1); /* a question mark is never longer than what it stands for */
    mbstate_t state = {0};
    while (out && left > 0) {
        wchar_t w;
        size_t n = mbrtowc(&w, plain, left, &state);
        bool bad = n == (size_t)-1 || n == (size_t)-2 || n == 0;
        if (bad) {
            n = 1;
            memset(&state, 0, sizeof state);
        }
        if (bad || !iswprint((wint_t)w) || is_hidden(w)) {
            out[length++] = '?';
        } else {
            memcpy(out + length, plain, n);
            length += n;
        }
        plain += n;
        left -= n;
    }
    if (out)
        out[length] = '\0';
    return out;
}
