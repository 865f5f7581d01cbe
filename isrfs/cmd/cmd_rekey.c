/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr rekey */
#include <inttypes.h>

#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/sync/rekey.h"

static void print(const struct source *source, const struct rekey_result *result)
{
    char size[CMD_TEXT_SIZE];
    if (result->objects)
        printf("%s: rekeyed as version %" PRIu64 " (%s in %" PRIu64 " objects)\n", source->parcel,
               result->version, cmd_size(result->bytes, size), result->objects);
    else
        printf("%s: had been rekeyed as version %" PRIu64 "; what was left of it is done\n",
               source->parcel, result->version);
    puts(
        "Whoever copied old objects and has old keys can still read those. The old objects lie in\n"
        "the store until garbage is collected there.");
}

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    int status = cmd_source(c, &source);
    if (status)
        return status;
    if (!cmd_confirm(c, "This writes the whole parcel anew, and the versions before cannot be read "
                        "any more. Go on?")) {
        cmd_say(c, "%s: nothing was done; rekeying forgets the versions before (--yes does it)",
                source.parcel);
        return OUTCOME_FAILED;
    }
    struct failure failure = {0};
    struct rekey_result result;
    struct cmd_progress progress;
    cmd_progress_start(&progress);
    int r = rekey(c->site, &source, &progress.progress, &result, &failure);
    cmd_progress_end(&progress);
    if (r < 0)
        return cmd_fail(c, &failure);
    print(&source, &result);
    return OUTCOME_DONE;
}

const struct command cmd_rekey = {
    .name = "rekey",
    .synopsis = "PARCEL",
    .summary = "write everything of a parcel anew, so that lost keys open nothing of it",
    .help = "For when somebody may have a key who should not: all objects of the newest version\n"
            "get new keys, and the versions before are forgotten. What was copied before stays\n"
            "readable to who has its keys. May be killed and said again.",
    .parcel = CMD_PARCEL,
    .yes = true,
    .run = run,
};
