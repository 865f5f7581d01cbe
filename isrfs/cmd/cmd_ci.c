/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr ci: for a parcel that is checked out and not mounted. */
#include <inttypes.h>

#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/cmd/daemon.h"
#include "isrfs/sync/recover.h"

/* A mounted parcel is checked in by unmounting it. */
static int refuse_mounted(const struct cmd *c, const struct source *source)
{
    CLEANUP_FREE char *state = site_parcel_path(c->site, source);
    CLEANUP_JSON json_t *status = NULL;
    if (!state || daemon_status(state, &status) < 0)
        return 0;
    const char *dir = json_string_value(json_object_get(status, "mountpoint"));
    char clean[256];
    cmd_say(c, "%s is mounted at %s: isr umount %s checks it in (isr checkpoint %s keeps it)",
            source->parcel, log_clean(clean, sizeof clean, dir ? dir : "?"), source->parcel,
            source->parcel);
    return OUTCOME_LOCKED;
}

/* What a crash left is what was on the disk at the last fsync; the memory image may not fit it. */
static int confirm_crashed(const struct cmd *c, const struct checkout *checkout)
{
    const struct site_root *root = &checkout->root;
    if (root->consistent || checkout->disk_only ||
        object_id_equal(&root->current.id, &root->base.id) ||
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

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_CHECKOUT struct checkout *checkout = NULL;
    const char *comment = NULL;
    int status = cmd_text(c, "comment", &comment);
    status = status ? status : cmd_source(c, &source);
    status = status ? status : refuse_mounted(c, &source);
    status = status ? status : cmd_checkout(c, &source, CHECKOUT_EXISTING, &checkout);
    if (status || !checkout)
        return status;
    checkout->disk_only = cmd_value(c, "disk-only");
    struct failure failure = {0};
    if (recover(checkout, &failure) < 0)
        return cmd_fail(c, &failure);
    status = confirm_crashed(c, checkout);
    return status ? status : check_in(c, checkout, comment);
}

const struct command cmd_ci = {
    .name = "ci",
    .synopsis = "PARCEL",
    .summary = "check a parcel in: publish its changes, give the lock back",
    .help = "For a parcel that is not mounted (isr umount checks in what is): after isr co, and\n"
            "after anything that kept a check-in from being finished.",
    .options = {{'m', "comment", "TEXT", "a remark for the history"},
                {0, "disk-only", NULL, "leave a running machine's memory out (after a crash)"}},
    .parcel = CMD_PARCEL,
    .yes = true,
    .run = run,
};
