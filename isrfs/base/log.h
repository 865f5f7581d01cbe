/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages for people and for the log file. They go to standard error, one line each; a daemon
 * points its standard error at its `messages` file. Any thread may call; a line is written whole.
 *
 * An error is logged once, where it is first known, and then travels as a negative errno. Never log
 * a key, plaintext, or text from outside that has not been through log_clean(). */
#ifndef ISRFS_BASE_LOG_H
#define ISRFS_BASE_LOG_H

#include <stdarg.h>
#include <stddef.h>

/* Room for one line for people that names a path in full (PATH_MAX and a sentence). */
#define LOG_MESSAGE_SIZE 4608u

/* "isrfs: error: ..." and so on. log_debug is silent unless ISR_DEBUG is set and not empty. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Copies TEXT into OUT (ROOM bytes, always terminated; it may be TEXT) with control and
 * non-ASCII-printable bytes as '?': nothing from outside may drive a terminal. Returns OUT. */
const char *log_clean(char *out, size_t room, const char *text);
/* The same with what vprintf would print; no argument may lie in OUT. */
const char *log_clean_format(char *out, size_t room, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

#endif
