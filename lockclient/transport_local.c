/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands as child processes. They get the environment that the forced command of a remote
 * server would give them: the root's folder, a fixed PATH, nothing of the caller's. */
#include "lockclient/transport.h"

#include <string.h>

#include "isrfs/base/process.h"

#define TIME_LIMIT_MS 120000 /* the commands themselves wait at most 60 s for each other */

struct local {
    struct transport base; /* first: a transport is cast to its local */
    char *scripts;
    char *root; /* ISR_LOCKSRV_ROOT=... */
};

static int local_run(struct transport *t, const struct transport_call *call,
                     struct transport_reply *ret)
{
    const struct local *local = (const struct local *)t;
    *ret = (struct transport_reply){0};
    const char *argv[TRANSPORT_WORDS_MAX + 1] = {NULL};
    size_t count = 0;
    for (; call->words[count]; count++) {
        if (count == TRANSPORT_WORDS_MAX)
            return -E2BIG;
        argv[count] = call->words[count];
    }
    if (count == 0)
        return -EINVAL;
    CLEANUP_FREE char *command = NULL;
    if (asprintf(&command, "%s/%s", local->scripts, argv[0]) < 0) {
        command = NULL;
        return -ENOMEM;
    }
    argv[0] = command;
    const char *const envp[] = {local->root, "PATH=/usr/bin:/bin", NULL};
    struct process process = {
        .argv = argv,
        .envp = envp,
        .input = call->input,
        .input_size = call->input_size,
        .output_limit = call->output_limit,
        .timeout_ms = TIME_LIMIT_MS,
    };
    struct process_result result;
    int r = process_run(&process, &result);
    *ret = (struct transport_reply){.status = result.status, .out = result.out, .err = result.err};
    return r;
}

static void local_free(struct transport *t)
{
    struct local *local = (struct local *)t;
    free(local->scripts);
    free(local->root);
    free(local);
}

static int absolute(const char *path, char **ret)
{
    if (path[0] == '/') {
        *ret = strdup(path);
        return *ret ? 0 : -ENOMEM;
    }
    CLEANUP_FREE char *here = getcwd(NULL, 0);
    if (!here)
        return -errno;
    if (asprintf(ret, "%s/%s", here, path) < 0) {
        *ret = NULL;
        return -ENOMEM;
    }
    return 0;
}

int transport_local_new(const char *scripts, const char *root, struct transport **ret)
{
    if (scripts[0] != '/')
        return -EINVAL;
    CLEANUP_FREE char *path = NULL;
    int r = absolute(root, &path);
    if (r < 0)
        return r;
    struct local *local = calloc(1, sizeof *local);
    if (!local)
        return -ENOMEM;
    local->base = (struct transport){.run = local_run, .free = local_free};
    local->scripts = strdup(scripts);
    if (asprintf(&local->root, "ISR_LOCKSRV_ROOT=%s", path) < 0)
        local->root = NULL;
    if (!local->scripts || !local->root) {
        local_free(&local->base);
        return -ENOMEM;
    }
    *ret = &local->base;
    return 0;
}
