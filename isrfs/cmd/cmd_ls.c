/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr ls */
#include <string.h>

#include "isrfs/cmd/commands.h"
#include "isrfs/sync/server.h"

static json_t *to_json(const struct lockclient_list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < list->count; i++) {
        const struct lockclient_parcel *p = &list->parcels[i];
        json_array_append_new(array,
                              json_pack("{s:s, s:I, s:I, s:I, s:s?}", "parcel", p->name, "version",
                                        (json_int_t)p->version, "time", (json_int_t)p->time,
                                        "bytes", (json_int_t)p->size, "holder", p->holder));
    }
    return array;
}

static void print_table(const struct lockclient_list *list)
{
    int width = (int)strlen("PARCEL");
    for (size_t i = 0; i < list->count; i++)
        if ((int)strlen(list->parcels[i].name) > width)
            width = (int)strlen(list->parcels[i].name);
    if (list->count)
        printf("%-*s  %7s  %-16s  %9s  %s\n", width, "PARCEL", "VERSION", "TIME", "SIZE", "HOLDER");
    for (size_t i = 0; i < list->count; i++) {
        const struct lockclient_parcel *p = &list->parcels[i];
        char size[CMD_TEXT_SIZE], time[CMD_TEXT_SIZE];
        printf("%-*s  %7llu  %-16s  %9s  %s\n", width, p->name, (unsigned long long)p->version,
               cmd_time(p->time, time), cmd_size(p->size, size), p->holder ? p->holder : "-");
    }
}

/* Before the first import there is no lock server at the default place, and nothing wrong. */
static bool is_new_here(const struct cmd *c, const struct source *source)
{
    size_t home = strlen(c->site->home);
    return server_is_folder(source) && access(source->server, F_OK) < 0 &&
           strncmp(source->server, c->site->home, home) == 0 &&
           strcmp(source->server + home, "/locksrv") == 0;
}

static int list(const struct cmd *c, const struct source *source, struct lockclient_list *ret)
{
    if (is_new_here(c, source))
        return 0;
    struct failure failure = {0};
    struct lockclient_error error = {0};
    CLEANUP_LOCKCLIENT struct lockclient *client = NULL;
    int r = server_open(c->site, source, false, &client, &failure);
    if (r == 0) {
        r = lockclient_list(client, ret, &error);
        if (r < 0)
            server_failure(&failure, source, r, &error);
    }
    return r < 0 ? cmd_fail(c, &failure) : 0;
}

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    struct lockclient_list found = {0};
    int status = cmd_source(c, &source);
    status = status ? status : list(c, &source, &found);
    if (status)
        return status;
    if (c->json)
        status = cmd_print_json(c, to_json(&found));
    else
        print_table(&found);
    if (!c->json && found.count == 0)
        cmd_say(c, "there are no parcels yet; isr import makes one");
    lockclient_list_free(&found);
    return status;
}

const struct command cmd_ls = {
    .name = "ls",
    .synopsis = "",
    .summary = "list the parcels at the lock server",
    .parcel = CMD_NO_PARCEL,
    .json = true,
    .run = run,
};
