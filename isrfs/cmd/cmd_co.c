/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr co */
#include <inttypes.h>

#include "isrfs/cmd/commands.h"

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_CHECKOUT struct checkout *checkout = NULL;
    int status = cmd_source(c, &source);
    unsigned flags = cmd_value(c, "accept-older") ? CHECKOUT_ACCEPT_OLDER : 0;
    status = status ? status : cmd_checkout(c, &source, flags, &checkout);
    if (status)
        return status;
    printf("%s: version %" PRIu64 " is checked out here%s\n", source.parcel, checkout->base_version,
           checkout->fresh ? "" : " (it was already)");
    return OUTCOME_DONE;
}

const struct command cmd_co = {
    .name = "co",
    .synopsis = "PARCEL",
    .summary = "check a parcel out: take its lock",
    .help = "isr mount and isr run do so by themselves.",
    .options = {{0, "accept-older", NULL,
                 "also if this site or the home has seen a newer version (a restored backup)"}},
    .parcel = CMD_PARCEL,
    .run = run,
};
