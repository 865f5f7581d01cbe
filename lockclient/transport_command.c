/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands of another machine through the system's ssh, a child process for each command: for
 * whoever needs what libssh cannot do. It gets this process's environment, and asks at the
 * terminal by itself; without one it is told not to. Its exit status is the command's, or 255 when
 * ssh itself failed. */
#include "lockclient/transport.h"

#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/base/process.h"
#include "lockclient/terminal.h"

#define CONNECT_MS  20000
#define COMMAND_MS  120000
#define PERSON_MS   120000 /* more, if a person may be asked */
#define COMMAND_MAX 24u    /* words of the setting */
#define SSH_FAILED  255

struct command {
    struct transport base; /* first: a transport is cast to its command */
    struct location where;
    char *text; /* the setting, cut into words */
    const char *words[COMMAND_MAX];
    size_t count;
    char *target; /* [user@]host */
    unsigned limit_ms;
};

/* What ssh said at last, which is why it failed. */
static int explain(const struct command *c, struct transport_reply *reply)
{
    const char *text = reply->err.data ? (const char *)reply->err.data : "";
    size_t size = strlen(text);
    while (size > 0 && strchr("\r\n", text[size - 1]))
        size--;
    size_t begin = size;
    while (begin > 0 && !strchr("\r\n", text[begin - 1]))
        begin--;
    char line[TRANSPORT_REASON_SIZE];
    snprintf(line, sizeof line, "%s: %.*s", c->words[0],
             (int)(size - begin < 200 ? size - begin : 200), text + begin);
    log_clean(reply->reason, sizeof reply->reason, line);
    return -EHOSTUNREACH;
}

static int command_run(struct transport *t, const struct transport_call *call,
                       struct transport_reply *ret)
{
    const struct command *c = (const struct command *)t;
    *ret = (struct transport_reply){0};
    const char *argv[COMMAND_MAX + TRANSPORT_WORDS_MAX + 6] = {NULL};
    size_t count = 0;
    bool terminal = terminal_available();
    for (size_t i = 0; i < c->count; i++)
        argv[count++] = c->words[i];
    if (!terminal)
        argv[count++] = "-oBatchMode=yes";
    if (*c->where.port) {
        argv[count++] = "-p";
        argv[count++] = c->where.port;
    }
    argv[count++] = c->target;
    for (size_t i = 0; call->words[i]; i++) {
        if (i == TRANSPORT_WORDS_MAX)
            return -E2BIG;
        argv[count++] = call->words[i];
    }
    struct process process = {
        .argv = argv,
        .input = call->input,
        .input_size = call->input_size,
        .output_limit = call->output_limit,
        .timeout_ms = c->limit_ms + (terminal ? PERSON_MS : 0),
    };
    struct process_result result;
    int r = process_run(&process, &result);
    *ret = (struct transport_reply){.status = result.status, .out = result.out, .err = result.err};
    return r == 0 && ret->status == SSH_FAILED ? explain(c, ret) : r;
}

static void command_free(struct transport *t)
{
    struct command *c = (struct command *)t;
    free(c->text);
    free(c->target);
    free(c);
}

static int cut(struct command *c)
{
    char *rest = c->text;
    while (rest) {
        char *word = strsep(&rest, " ");
        if (!*word || c->count == COMMAND_MAX)
            return -EINVAL;
        c->words[c->count++] = word;
    }
    return 0;
}

int transport_command_new(const struct location *where, const struct lockclient_ssh *settings,
                          struct transport **ret)
{
    struct command *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->base = (struct transport){.run = command_run, .free = command_free};
    c->where = *where;
    c->limit_ms = (settings->connect_ms ? settings->connect_ms : CONNECT_MS) +
                  (settings->command_ms ? settings->command_ms : COMMAND_MS);
    c->text = strdup(settings->command);
    if (asprintf(&c->target, "%s%s%s", where->user, *where->user ? "@" : "", where->host) < 0)
        c->target = NULL;
    int r = !c->text || !c->target ? -ENOMEM : cut(c);
    if (r < 0) {
        command_free(&c->base);
        return r;
    }
    *ret = &c->base;
    return 0;
}
