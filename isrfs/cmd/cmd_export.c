/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr export */
#include "isrfs/cmd/commands.h"
#include "isrfs/sync/import.h"

static int export_one(const struct cmd *c, struct checkout *checkout)
{
    struct failure failure = {0};
    struct parcel *parcel = NULL;
    if (checkout_parcel(checkout, 0, &parcel, &failure) < 0)
        return cmd_fail(c, &failure);
    struct cmd_progress progress;
    cmd_progress_start(&progress);
    int r = export_file(parcel, c->args[0], c->args[1], &progress.progress, &failure);
    cmd_progress_end(&progress);
    parcel_close(parcel);
    return r < 0 ? cmd_fail(c, &failure) : OUTCOME_DONE;
}

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_CHECKOUT struct checkout *checkout = NULL;
    int status = cmd_source(c, &source);
    status = status ? status : cmd_checkout(c, &source, CHECKOUT_READ_ONLY, &checkout);
    return status ? status : export_one(c, checkout);
}

const struct command cmd_export = {
    .name = "export",
    .synopsis = "PARCEL[@VERSION] FILE OUT",
    .summary = "write a file of a parcel to a plain file",
    .help = "FILE is its path in the parcel. OUT must not exist; - is standard output. The\n"
            "parcel need not be checked out: what is read is the newest version, or VERSION.",
    .parcel = CMD_PARCEL_VERSION,
    .min = 2,
    .max = 2,
    .run = run,
};
