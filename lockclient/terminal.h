/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asking the person at the controlling terminal, whatever the standard streams are. */
#ifndef LOCKCLIENT_TERMINAL_H
#define LOCKCLIENT_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

bool terminal_available(void);

/* Shows TEXT (which the caller has cleaned) and reads a line into OUT, ROOM bytes, terminated;
 * without ECHO what is typed is not shown, and it is the caller's to wipe. Blocks for at most two
 * minutes. 0, -ENXIO without a terminal, -ECANCELED for ^C or the end of input, -ETIMEDOUT,
 * -E2BIG. */
int terminal_ask(const char *text, bool echo, char *out, size_t room);

#endif
