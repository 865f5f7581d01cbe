/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A message is put together in one buffer and written with one write(2), so that lines of several
 * threads never mix and nothing has to be locked. */
#include "isrfs/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void emit(const char *level, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void emit(const char *level, const char *format, va_list args)
{
    int saved = errno;
    char line[LOG_MESSAGE_SIZE];
    int head = snprintf(line, sizeof line, "isrfs: %s", level);
    int body = vsnprintf(line + head, sizeof line - (size_t)head - 1, format, args);
    size_t length = (size_t)head + (body < 0 ? 0 : (size_t)body);
    if (length > sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, length);
    (void)ignored; /* there is nowhere left to say it */
    errno = saved;
}

#define EMIT(level)                                                                                \
    do {                                                                                           \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        emit(level, format, args);                                                                 \
        va_end(args);                                                                              \
    } while (0)

void log_error(const char *format, ...)
{
    EMIT("error: ");
}

void log_warning(const char *format, ...)
{
    EMIT("warning: ");
}

void log_info(const char *format, ...)
{
    EMIT("");
}

void log_debug(const char *format, ...)
{
    const char *on = getenv("ISR_DEBUG");
    if (on && *on)
        EMIT("debug: ");
}

const char *log_clean(char *out, size_t room, const char *text)
{
    size_t i = 0;
    for (; i + 1 < room && text[i]; i++)
        out[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
    if (room)
        out[i] = '\0';
    return out;
}

const char *log_clean_format(char *out, size_t room, const char *format, va_list args)
{
    vsnprintf(out, room, format, args);
    return log_clean(out, room, out);
}
