/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr rollback */
#include <inttypes.h>
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"

/* 0 for anything but a version's number. */
static uint64_t read_version(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits == 0 || digits > 15 || text[digits] || text[0] == '0' ? 0
                                                                        : strtoull(text, NULL, 10);
}

static int roll_back(const struct cmd *c, struct checkout *checkout, uint64_t version,
                     const char *comment)
{
    char text[64];
    snprintf(text, sizeof text, "as version %" PRIu64, version);
    struct failure failure = {0};
    struct checkin_result result;
    bool release = checkout->fresh; /* who had it checked out keeps it */
    const char *parcel = checkout->source.parcel;
    if (checkin_rollback(checkout, version, release, comment ? comment : text, &result, &failure) <
        0)
        return cmd_fail(c, &failure);
    if (result.changed)
        printf("%s: version %" PRIu64 " is as version %" PRIu64 " was%s\n", parcel, result.version,
               version, release ? "" : "; the parcel stays checked out here");
    else
        printf("%s: nothing to do, version %" PRIu64 " is as version %" PRIu64 "\n", parcel,
               result.version, version);
    return OUTCOME_DONE;
}

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_CHECKOUT struct checkout *checkout = NULL;
    const char *comment = NULL;
    uint64_t version = read_version(c->args[0]);
    if (!version)
        return cmd_usage(c, "VERSION is a number; isr history lists them");
    int status = cmd_text(c, "comment", &comment);
    status = status ? status : cmd_source(c, &source);
    status = status ? status : cmd_checkout(c, &source, 0, &checkout);
    return status ? status : roll_back(c, checkout, version, comment);
}

const struct command cmd_rollback = {
    .name = "rollback",
    .synopsis = "PARCEL VERSION",
    .summary = "publish an old version as the newest one",
    .help = "At once: nothing is copied, and no version is lost. Not while the parcel is checked\n"
            "out elsewhere, mounted, or has changes at this site that are not checked in.",
    .options = {{'m', "comment", "TEXT", "a remark for the history"}},
    .parcel = CMD_PARCEL,
    .min = 1,
    .max = 1,
    .run = run,
};
