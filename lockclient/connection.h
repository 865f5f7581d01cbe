/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One ssh connection to a lock server. connection.c is the only file that knows libssh. Nobody but
 * one thread at a time may use a connection. */
#ifndef LOCKCLIENT_CONNECTION_H
#define LOCKCLIENT_CONNECTION_H

#include "lockclient/transport.h"

struct connection;

/* Nothing is connected yet. FOLDER: instead of ~/.ssh; NULL: that. NULL: out of memory. */
struct connection *connection_new(const struct location *where, const char *folder);
void connection_free(struct connection *c);

/* Connects, checks the host's key, logs in. 0 or negative errno, and then perhaps a line for
 * showing in REASON, TRANSPORT_REASON_SIZE bytes, empty before. */
int connection_open(struct connection *c, unsigned limit_ms, char *reason);
void connection_close(struct connection *c);
bool connection_is_open(const struct connection *c);

struct connection_command {
    const struct transport_call *call;
    const char *text;  /* its words, joined */
    unsigned begin_ms; /* limit until the server is about to be told */
    unsigned limit_ms; /* from then on */
};

/* As a transport's run, on an open connection, which any failure closes. *RET_SENT: the command may
 * have begun. */
int connection_run(struct connection *c, const struct connection_command *command,
                   struct transport_reply *reply, bool *ret_sent);

/* Has a password or passphrase been asked for? Any thread may call. */
bool connection_asked(const struct connection *c);

#endif
