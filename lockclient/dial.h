/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A connected socket to another machine. Everything is bounded by a deadline: milliseconds of
 * clock_ms. Any thread may call. */
#ifndef LOCKCLIENT_DIAL_H
#define LOCKCLIENT_DIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Tries each address of HOST until one answers. The descriptor, or negative errno with the reason
 * in *RET_REASON (static text). Looking the name up is bounded by the resolver's own limits. */
int dial_tcp(const char *host, const char *port, int64_t deadline, const char **ret_reason);

/* The other end is the standard input and output of this shell command: ssh's ProxyCommand, with
 * %h %p %r %n %% in it. The descriptor, with the child in *RET_PID to be ended by dial_end, or
 * negative errno. */
int dial_command(const char *command, const char *host, const char *port, const char *user,
                 const char *original, pid_t *ret_pid);
void dial_end(pid_t pid);

/* Does the ssh agent of the environment, if there is one, answer by then? */
bool dial_agent_answers(int64_t deadline);

#endif
