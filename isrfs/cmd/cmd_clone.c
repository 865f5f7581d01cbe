/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr clone */
#include <inttypes.h>

#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/sync/begun.h"
#include "isrfs/sync/versions.h"
#include "lockclient/lockclient.h"

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_CHECKOUT struct checkout *checkout = NULL;
    const char *name = c->args[0], *comment = NULL;
    if (!lockclient_name_valid(name))
        return cmd_usage(c, "NEW is a name: letters, digits and ._- after a letter or digit");
    int status = cmd_text(c, "comment", &comment);
    status = status ? status : cmd_source(c, &source);
    status = status ? status
                    : cmd_checkout(c, &source, CHECKOUT_READ_ONLY | CHECKOUT_RECORDS, &checkout);
    if (status)
        return status;
    char text[LOCKCLIENT_NAME_SIZE + 64];
    snprintf(text, sizeof text, "as %s@%" PRIu64, source.parcel, checkout->base_version);
    struct failure failure = {0};
    begun_clear(c->site, &source, checkout->client, checkout->src, checkout->home);
    if (versions_clone(c->site, checkout, name, comment ? comment : text, &failure) < 0)
        return cmd_fail(c, &failure);
    printf("%s: version 1 is as version %" PRIu64 " of %s\n", name, checkout->base_version,
           source.parcel);
    return OUTCOME_DONE;
}

const struct command cmd_clone = {
    .name = "clone",
    .synopsis = "PARCEL[@VERSION] NEW",
    .summary = "make a new parcel from a version of another",
    .help =
        "At once: nothing is copied. Both lie in one store from then on, and what they have in\n"
        "common lies there once.",
    .options = {{'m', "comment", "TEXT", "a remark for the history"}},
    .parcel = CMD_PARCEL_VERSION,
    .min = 1,
    .max = 1,
    .run = run,
};
