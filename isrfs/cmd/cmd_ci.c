/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr ci: for a parcel that is checked out and not mounted. */
#include <inttypes.h>

#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/cmd/daemon.h"
#include "isrfs/sync/checkin_as.h"
#include "isrfs/sync/recover.h"

/* What a crash left is what was on the disk at the last fsync; the memory image may not fit it. */
static int confirm_crashed(const struct cmd *c, const struct checkout *checkout)
{
    const struct site_root *root = &checkout->root;
    if (root->consistent || checkout->disk_only ||
        object_id_equal(&root->current.id, &root->base.id) || cmd_value(c, "accept-loss") ||
        cmd_confirm(c, "The last mount ended in a crash, with the virtual machine perhaps running. "
                       "Check in the disk as it was at the last commit?"))
        return 0;
    cmd_say(c,
            "the last mount of %s ended in a crash: mount it and look, or check in what was "
            "committed with --yes",
            checkout->source.parcel);
    return OUTCOME_FAILED;
}

static int check_in(const struct cmd *c, struct checkout *checkout, const char *comment)
{
    struct failure failure = {0};
    struct checkin_result result;
    struct cmd_progress progress;
    cmd_progress_start(&progress);
    int r = checkin(checkout, true, comment, &progress.progress, &result, &failure);
    cmd_progress_end(&progress);
    if (r < 0)
        return cmd_fail(c, &failure);
    char size[CMD_TEXT_SIZE];
    if (result.changed)
        printf("%s: checked in as version %" PRIu64 " (%s in %" PRIu64 " objects)\n",
               checkout->source.parcel, result.version, cmd_size(result.bytes, size),
               result.objects);
    else
        printf("%s: given back unchanged at version %" PRIu64 "\n", checkout->source.parcel,
               result.version);
    return OUTCOME_DONE;
}

static int check_in_as(const struct cmd *c, struct checkout *checkout, const char *name,
                       const char *comment)
{
    struct failure failure = {0};
    struct checkin_result result;
    struct cmd_progress progress;
    CLEANUP_FREE char *made = NULL;
    cmd_progress_start(&progress);
    int r = checkin_as(checkout, name, comment, &progress.progress, &result, &made, &failure);
    cmd_progress_end(&progress);
    if (r < 0)
        return cmd_fail(c, &failure);
    char size[CMD_TEXT_SIZE];
    printf("%s: checked in as the parcel %s (%s in %" PRIu64 " objects)\n", checkout->source.parcel,
           made, cmd_size(result.bytes, size), result.objects);
    return OUTCOME_DONE;
}

struct only {
    const struct cmd *c;
    struct source *source;
    unsigned found;
};

static int take_if_here(void *ctx, const struct source *source)
{
    struct only *only = ctx;
    CLEANUP_FREE char *path = site_parcel_path(only->c->site, source), *nonce = NULL;
    if (!path || asprintf(&nonce, "%s/nonce", path) < 0) {
        nonce = NULL;
        return -ENOMEM;
    }
    if (access(nonce, F_OK) < 0 || only->found++ > 0)
        return 0;
    *only->source = (struct source){.server = strdup(source->server),
                                    .user = strdup(source->user),
                                    .parcel = strdup(source->parcel)};
    return only->source->server && only->source->user && only->source->parcel ? 0 : -ENOMEM;
}

/* Without a name it is the one parcel that is checked out here, if there is just one. */
static int find_source(const struct cmd *c, struct source *ret)
{
    struct only only = {.c = c, .source = ret};
    if (c->parcel)
        return cmd_source(c, ret);
    if (!cmd_value(c, "as"))
        return cmd_usage(c, "which parcel?");
    if (site_each_parcel(c->site, take_if_here, &only) == 0 && only.found == 1)
        return 0;
    return cmd_usage(c, only.found ? "which of the parcels that are checked out here?"
                                   : "no parcel is checked out here");
}

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_CHECKOUT struct checkout *checkout = NULL;
    const char *as = cmd_value(c, "as");
    unsigned flags = CHECKOUT_EXISTING | (as ? CHECKOUT_LOST : 0) |
                     (cmd_value(c, "accept-loss") ? CHECKOUT_ACCEPT_LOSS : 0);
    const char *comment = NULL;
    int status = cmd_text(c, "comment", &comment);
    status = status ? status : find_source(c, &source);
    status = status ? status
                    : daemon_refuse(c, &source,
                                    "isr umount checks it in, isr checkpoint keeps it mounted");
    status = status ? status : cmd_checkout(c, &source, flags, &checkout);
    if (status || !checkout)
        return status;
    checkout->disk_only = cmd_value(c, "disk-only");
    struct failure failure = {0};
    char line[RECOVER_LINE_SIZE];
    if (recover(checkout, &failure) < 0)
        return cmd_fail(c, &failure);
    if (recover_line(checkout, line))
        cmd_say(c, "%s", line);
    status = confirm_crashed(c, checkout);
    if (status)
        return status;
    return as ? check_in_as(c, checkout, as, comment) : check_in(c, checkout, comment);
}

const struct command cmd_ci = {
    .name = "ci",
    .synopsis = "PARCEL",
    .summary = "check a parcel in: publish its changes, give the lock back",
    .help = "For a parcel that is not mounted (isr umount checks in what is): after isr co, and\n"
            "after anything that kept a check-in from being finished.",
    .options = {{'m', "comment", "TEXT", "a remark for the history"},
                {0, "as", "NAME", "as a new parcel (for a lock that was taken from this site)"},
                {0, "accept-loss", NULL, "do without what is damaged, and name it"},
                {0, "disk-only", NULL, "leave a running machine's memory out (after a crash)"}},
    .parcel = CMD_MAY_PARCEL,
    .yes = true,
    .run = run,
};
