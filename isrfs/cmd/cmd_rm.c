/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr rm */
#include <inttypes.h>

#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/sync/begun.h"
#include "isrfs/sync/versions.h"

static bool confirm(const struct cmd *c, const struct checkout *checkout)
{
    char question[768], src[256];
    const char *parcel = checkout->source.parcel;
    snprintf(question, sizeof question,
             "%s and all its versions, up to %" PRIu64 ", will be forgotten, with the keys to read "
             "them; this cannot be\nundone. What it alone needs at %s stays there until garbage is "
             "collected, and\nwhoever has its keys already can read it until then.\nType the "
             "parcel's name to remove it:",
             parcel, checkout->base_version, log_clean(src, sizeof src, checkout->src));
    if (cmd_confirm_name(c, question, parcel))
        return true;
    cmd_say(c, "%s is not removed: its name was not typed (--yes removes it without a question)",
            parcel);
    return false;
}

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_CHECKOUT struct checkout *checkout = NULL;
    bool lost = cmd_value(c, "home-is-lost") != NULL;
    unsigned flags = CHECKOUT_READ_ONLY | CHECKOUT_RECORDS | (lost ? CHECKOUT_NO_HOME : 0);
    int status = cmd_source(c, &source);
    status = status ? status : cmd_checkout(c, &source, flags, &checkout);
    if (status)
        return status;
    if (!confirm(c, checkout))
        return OUTCOME_FAILED;
    struct failure failure = {0};
    begun_clear(c->site, &source, checkout->client, checkout->src, checkout->home);
    if (versions_remove(checkout, &failure) < 0)
        return cmd_fail(c, &failure);
    char src[256];
    printf("%s is removed. Its objects stay at %s until garbage is collected there; whoever has "
           "their keys can read them until then, and copies of them for ever.\n",
           source.parcel, log_clean(src, sizeof src, checkout->src));
    return OUTCOME_DONE;
}

const struct command cmd_rm = {
    .name = "rm",
    .synopsis = "PARCEL",
    .summary = "remove a parcel with all its versions",
    .help = "Asks for the parcel's name to be typed. Not while it is checked out. The lock server\n"
            "forgets its keys; its objects stay at home until garbage is collected, and what\n"
            "somebody has the keys of can be read until then. A clone of it is not touched.",
    .options = {{0, "home-is-lost", NULL, "even if its home cannot be reached"}},
    .parcel = CMD_PARCEL,
    .yes = true,
    .run = run,
};
