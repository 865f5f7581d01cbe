/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr history */
#include "isrfs/cmd/commands.h"
#include "isrfs/sync/server.h"

/* As it was given, if that is UTF-8, which JSON must be. */
static json_t *comment_of(const struct lockclient_version *v)
{
    json_t *text = v->comment_as_given ? json_string(v->comment_as_given) : NULL;
    return text ? text : v->comment ? json_string(v->comment) : json_null();
}

static json_t *to_json(const struct lockclient_history *history)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < history->count; i++) {
        const struct lockclient_version *v = &history->versions[i];
        json_array_append_new(array, json_pack("{s:I, s:I, s:I, s:I, s:b, s:s?, s:o}", "version",
                                               (json_int_t)v->number, "time", (json_int_t)v->time,
                                               "bytes", (json_int_t)v->size, "new_bytes",
                                               (json_int_t)v->newbytes, "consistent", v->consistent,
                                               "site", v->site, "comment", comment_of(v)));
    }
    return array;
}

static void print_table(const struct lockclient_history *history)
{
    printf("%7s  %-16s  %9s  %9s  %s\n", "VERSION", "TIME", "SIZE", "NEW", "SITE");
    for (size_t i = 0; i < history->count; i++) {
        const struct lockclient_version *v = &history->versions[i];
        char size[CMD_TEXT_SIZE], new[CMD_TEXT_SIZE], time[CMD_TEXT_SIZE];
        CLEANUP_FREE char *comment = v->comment_as_given ? cmd_showable(v->comment_as_given) : NULL;
        printf("%7llu  %-16s  %9s  %9s  %s%s%s%s\n", (unsigned long long)v->number,
               cmd_time(v->time, time), cmd_size(v->size, size), cmd_size(v->newbytes, new),
               v->site ? v->site : "-", v->consistent ? "" : "  (disk only)", comment ? "  " : "",
               comment ? comment : "");
    }
}

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_LOCKCLIENT struct lockclient *client = NULL;
    int status = cmd_source(c, &source);
    if (status)
        return status;
    struct failure failure = {0};
    struct lockclient_error error = {0};
    struct lockclient_history history = {0};
    int r = server_open(c->site, &source, false, &client, &failure);
    if (r == 0) {
        r = lockclient_history(client, source.parcel, &history, &error);
        if (r < 0)
            server_failure(&failure, &source, r, &error);
    }
    if (r < 0)
        return cmd_fail(c, &failure);
    if (c->json)
        status = cmd_print_json(c, to_json(&history));
    else
        print_table(&history);
    lockclient_history_free(&history);
    return status;
}

const struct command cmd_history = {
    .name = "history",
    .synopsis = "PARCEL",
    .summary = "list the versions of a parcel",
    .parcel = CMD_PARCEL,
    .json = true,
    .run = run,
};
