/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr prune: what the rules do not keep is forgotten, in the order that versions.c tells. */
#include <inttypes.h>
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/sync/begun.h"
#include "isrfs/sync/prune.h"
#include "isrfs/sync/server.h"
#include "isrfs/sync/versions.h"

struct plan {
    struct lockclient_history history;
    enum prune_reason *reasons; /* of each version */
    uint64_t *numbers;          /* those to be forgotten, */
    size_t count;               /* so many */
};

static void plan_free(struct plan *plan)
{
    lockclient_history_free(&plan->history);
    free(plan->reasons);
    free(plan->numbers);
}

static const char *const reasons[] = {
    [PRUNE_FORGET] = "",        [PRUNE_NEWEST] = "newest", [PRUNE_IN_USE] = "checked out",
    [PRUNE_LAST] = "last",      [PRUNE_DAILY] = "daily",   [PRUNE_WEEKLY] = "weekly",
    [PRUNE_MONTHLY] = "monthly"};

/* False for anything but a number. */
static bool read_rule(const struct cmd *c, const char *name, uint64_t *ret, bool *given)
{
    const char *text = cmd_value(c, name);
    if (!text)
        return true;
    *given = true;
    size_t digits = strspn(text, "0123456789");
    *ret = digits > 0 && digits <= 9 ? strtoull(text, NULL, 10) : 0;
    return *ret > 0 && text[digits] == '\0';
}

/* 0, or the exit status (said). */
static int read_rules(const struct cmd *c, struct prune_rules *ret)
{
    bool given = false;
    *ret = (struct prune_rules){0};
    if (!read_rule(c, "keep", &ret->last, &given) ||
        !read_rule(c, "keep-daily", &ret->daily, &given) ||
        !read_rule(c, "keep-weekly", &ret->weekly, &given) ||
        !read_rule(c, "keep-monthly", &ret->monthly, &given))
        return cmd_usage(c, "how many to keep is a number from 1");
    return given ? 0 : cmd_usage(c, "say what to keep: --keep and others");
}

static int make_plan(struct checkout *checkout, const struct prune_rules *rules, struct plan *plan,
                     struct failure *failure)
{
    const char *parcel = checkout->source.parcel;
    struct lockclient_held held;
    struct lockclient_error error = {0};
    int r = lockclient_history(checkout->client, parcel, &plan->history, &error);
    r = r < 0 ? r : lockclient_held(checkout->client, parcel, &held, &error);
    if (r < 0)
        return server_failure(failure, &checkout->source, r, &error);
    size_t count = plan->history.count;
    plan->reasons = calloc(count + 1, sizeof *plan->reasons);
    plan->numbers = calloc(count + 1, sizeof *plan->numbers);
    if (!plan->reasons || !plan->numbers)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    prune_choose(&plan->history, rules, held.held ? held.needed : 0, plan->reasons);
    for (size_t i = 0; i < count; i++)
        if (plan->reasons[i] == PRUNE_FORGET)
            plan->numbers[plan->count++] = plan->history.versions[i].number;
    return 0;
}

static json_t *to_json(const struct plan *plan)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < plan->history.count; i++) {
        const struct lockclient_version *v = &plan->history.versions[i];
        bool kept = plan->reasons[i] != PRUNE_FORGET;
        json_array_append_new(array,
                              json_pack("{s:I, s:I, s:b, s:s?}", "version", (json_int_t)v->number,
                                        "time", (json_int_t)v->time, "kept", kept, "reason",
                                        kept ? reasons[plan->reasons[i]] : NULL));
    }
    return array;
}

static void print_plan(const struct plan *plan, bool dry)
{
    for (size_t i = 0; i < plan->history.count; i++) {
        const struct lockclient_version *v = &plan->history.versions[i];
        char time[CMD_TEXT_SIZE];
        CLEANUP_FREE char *comment = v->comment_as_given ? cmd_showable(v->comment_as_given) : NULL;
        bool kept = plan->reasons[i] != PRUNE_FORGET;
        printf("%7" PRIu64 "  %-16s  %s%s%s%s%s%s\n", v->number, cmd_time(v->time, time),
               kept  ? "stays"
               : dry ? "would go"
                     : "goes",
               kept ? " (" : "", reasons[plan->reasons[i]], kept ? ")" : "", comment ? "  " : "",
               comment ? comment : "");
    }
}

static int prune(const struct cmd *c, struct checkout *checkout, const struct plan *plan)
{
    bool dry = cmd_value(c, "dry-run") != NULL;
    struct failure failure = {0};
    if (!c->json)
        print_plan(plan, dry);
    if (!dry)
        begun_clear(c->site, &checkout->source, checkout->client, checkout->src, checkout->home);
    if (!dry && versions_prune(checkout, plan->numbers, plan->count, &failure) < 0)
        return cmd_fail(c, &failure);
    if (c->json)
        return cmd_print_json(c, to_json(plan));
    char src[256];
    log_clean(src, sizeof src, checkout->src);
    if (plan->count == 0)
        printf("%s: no version goes\n", checkout->source.parcel);
    else
        printf("%s: %zu of %zu versions %s. Objects that only they need stay at %s until garbage "
               "is collected there; whoever has their keys can read them until then, and copies of "
               "them for ever.\n",
               checkout->source.parcel, plan->count, plan->history.count,
               dry ? "would be forgotten" : "are forgotten", src);
    return OUTCOME_DONE;
}

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_CHECKOUT struct checkout *checkout = NULL;
    struct prune_rules rules;
    int status = read_rules(c, &rules);
    status = status ? status : cmd_source(c, &source);
    unsigned writing = cmd_value(c, "dry-run") ? CHECKOUT_NO_HOME : CHECKOUT_RECORDS;
    status = status ? status : cmd_checkout(c, &source, CHECKOUT_READ_ONLY | writing, &checkout);
    if (status)
        return status;
    struct failure failure = {0};
    CLEANUP(plan_free) struct plan plan = {0};
    if (make_plan(checkout, &rules, &plan, &failure) < 0)
        return cmd_fail(c, &failure);
    return prune(c, checkout, &plan);
}

const struct command cmd_prune = {
    .name = "prune",
    .synopsis = "PARCEL",
    .summary = "forget old versions",
    .help =
        "Keeps what at least one rule keeps, and always the newest version and what a check-out\n"
        "works from. Daily, weekly and monthly mean the newest version of each of so many days,\n"
        "weeks and months that have any. What is stored for the others stays at home until\n"
        "garbage is collected.",
    .options = {{'k', "keep", "N", "the newest N versions"},
                {0, "keep-daily", "N", "the newest of each of N days"},
                {0, "keep-weekly", "N", "the newest of each of N weeks"},
                {0, "keep-monthly", "N", "the newest of each of N months"},
                {'n', "dry-run", NULL, "only say what would go"}},
    .parcel = CMD_PARCEL,
    .json = true,
    .run = run,
};
