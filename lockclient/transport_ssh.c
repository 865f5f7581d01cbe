/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands of another machine over one ssh connection, which is made when it is first needed
 * and kept for those to come.
 *
 * `busy` is a token: who set it owns the connection until it is cleared; `lock` guards the token
 * only and is never held while the network is waited for.
 *
 * A connection that turns out to be gone before the command was sent is made anew, once. After that
 * the command may have run, and only the caller knows how to ask again. */
#include <string.h>

#include "lockclient/connection.h"

#define CONNECT_MS 20000
#define COMMAND_MS 120000
#define PROBE_MS   5000 /* for a connection that was used before to show that it lives */

struct ssh {
    struct transport base; /* first: a transport is cast to its ssh */
    unsigned connect_ms, command_ms;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    bool busy;                     /* lock */
    struct connection *connection; /* whoever made it busy */
};

/* On the connection that there is, or else on a new one. */
static int run_somehow(struct ssh *s, const struct transport_call *call, const char *text,
                       struct transport_reply *reply)
{
    bool sent = false;
    struct connection_command command = {
        .call = call, .text = text, .begin_ms = s->connect_ms, .limit_ms = s->command_ms};
    if (connection_is_open(s->connection)) {
        command.begin_ms = s->connect_ms < PROBE_MS ? s->connect_ms : PROBE_MS;
        int r = connection_run(s->connection, &command, reply, &sent);
        if (r == 0 || sent || r == -ENOMEM)
            return r;
        *reply->reason = '\0';
        command.begin_ms = s->connect_ms;
    }
    int r = connection_open(s->connection, s->connect_ms, reply->reason);
    return r < 0 ? r : connection_run(s->connection, &command, reply, &sent);
}

static int join(const struct transport_call *call, struct buffer *out)
{
    int r = 0;
    for (size_t i = 0; r == 0 && call->words[i]; i++) {
        r = i ? buffer_append_text(out, " ") : 0;
        r = r < 0 ? r : buffer_append_text(out, call->words[i]);
    }
    return r < 0 ? r : buffer_terminate(out);
}

static int ssh_run(struct transport *t, const struct transport_call *call,
                   struct transport_reply *ret)
{
    struct ssh *s = (struct ssh *)t;
    *ret = (struct transport_reply){0};
    CLEANUP_BUFFER struct buffer text = {0};
    int r = join(call, &text);
    if (r < 0)
        return r;
    pthread_mutex_lock(&s->lock);
    while (s->busy)
        pthread_cond_wait(&s->idle, &s->lock);
    s->busy = true;
    pthread_mutex_unlock(&s->lock);
    r = run_somehow(s, call, (const char *)text.data, ret);
    LOCK_SCOPE(&s->lock);
    s->busy = false;
    pthread_cond_signal(&s->idle);
    return r;
}

static bool ssh_asked(const struct transport *t)
{
    return connection_asked(((const struct ssh *)t)->connection);
}

static void ssh_end(struct transport *t)
{
    struct ssh *s = (struct ssh *)t;
    connection_free(s->connection);
    pthread_cond_destroy(&s->idle);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int transport_ssh_new(const struct location *where, const struct lockclient_ssh *settings,
                      struct transport **ret)
{
    struct ssh *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->base = (struct transport){.run = ssh_run, .free = ssh_end, .asked = ssh_asked};
    s->connect_ms = settings->connect_ms ? settings->connect_ms : CONNECT_MS;
    s->command_ms = settings->command_ms ? settings->command_ms : COMMAND_MS;
    s->connection = connection_new(where, settings->folder);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->idle, NULL);
    if (!s->connection) {
        ssh_end(&s->base);
        return -ENOMEM;
    }
    *ret = &s->base;
    return 0;
}
