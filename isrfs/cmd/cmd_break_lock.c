/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr break-lock: the lock is taken from the very check-out that was shown, or not at all. */
#include <stdio.h>

#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/sync/server.h"

/* "ann at laptop:/home/ann/.isr since 2026-07-01 10:00" */
static void describe(const struct lockclient_holder *holder, char *out, size_t room)
{
    char since[CMD_TEXT_SIZE], seen[CMD_TEXT_SIZE], site[256];
    log_clean(site, sizeof site, holder->site);
    snprintf(out, room, "%s at %s since %s%s%s", holder->user, site, cmd_time(holder->since, since),
             holder->seen ? ", last heard of " : "",
             holder->seen ? cmd_time(holder->seen, seen) : "");
}

static int say_refused(const struct cmd *c, const struct source *source, int r,
                       const struct lockclient_error *error)
{
    struct failure failure = {0};
    server_failure(&failure, source, r, error);
    return cmd_fail(c, &failure);
}

static bool confirm(const struct cmd *c, const struct source *source, const char *who, bool stolen)
{
    char question[768];
    snprintf(question, sizeof question,
             "%s is checked out by %s.\nWhat was changed there and is not checked in can then not "
             "be checked in over what\nothers do from now on%s. Break the lock?",
             source->parcel, who,
             stolen ? ", and that site can no longer read it itself" : "; that site keeps it");
    if (cmd_confirm(c, question))
        return true;
    cmd_say(c, "%s is checked out by %s: the lock is not broken (--yes does so without a question)",
            source->parcel, who);
    return false;
}

static int break_lock(const struct cmd *c, const struct source *source, struct lockclient *client,
                      const struct lockclient_held *held, struct lockclient_break *how)
{
    char who[512];
    struct lockclient_error error = {0};
    struct lockclient_broken broken;
    if (held->held) {
        describe(&held->holder, who, sizeof who);
        how->id = held->id;
        if (!confirm(c, source, who, how->stolen))
            return OUTCOME_FAILED;
    } else if (!how->stolen) {
        printf("%s: nobody has it checked out\n", source->parcel);
        return OUTCOME_DONE;
    } else if (!cmd_confirm(c, "Nobody has it checked out. Was the site whose lock was broken last "
                               "stolen?")) {
        cmd_say(c,
                "%s: nobody has it checked out (--yes means the site whose lock was broken last)",
                source->parcel);
        return OUTCOME_FAILED;
    }
    int r = lockclient_break(client, source->parcel, how, &broken, &error);
    if (r < 0)
        return say_refused(c, source, r, &error);
    if (held->held)
        printf("%s: the lock is taken from %s%s\n", source->parcel, who,
               how->stolen ? ", and its session key is withheld" : "");
    else
        printf("%s: nobody has it checked out; the session key of the lock that was broken last is "
               "withheld\n",
               source->parcel);
    return OUTCOME_DONE;
}

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_LOCKCLIENT struct lockclient *client = NULL;
    struct lockclient_break how = {.stolen = cmd_value(c, "stolen") != NULL};
    struct lockclient_held held;
    struct lockclient_error error = {0};
    struct failure failure = {0};
    int status = cmd_text(c, "reason", &how.reason);
    status = status ? status : cmd_source(c, &source);
    if (status)
        return status;
    if (server_open(c->site, &source, false, &client, &failure) < 0)
        return cmd_fail(c, &failure);
    int r = lockclient_held(client, source.parcel, &held, &error);
    return r < 0 ? say_refused(c, &source, r, &error) : break_lock(c, &source, client, &held, &how);
}

const struct command cmd_break_lock = {
    .name = "break-lock",
    .synopsis = "PARCEL",
    .summary = "take a parcel's lock from a site that is lost",
    .help = "Asks first. The site keeps what it has not checked in, but can never publish it over\n"
            "what others do from then on. With --stolen it also never gets the key of its own\n"
            "site log again, so that whoever has its disk cannot read what was not checked in.",
    .options = {{0, "stolen", NULL, "the site is in wrong hands: withhold its session key"},
                {0, "reason", "TEXT", "for the lock server's record"}},
    .parcel = CMD_PARCEL,
    .yes = true,
    .run = run,
};
