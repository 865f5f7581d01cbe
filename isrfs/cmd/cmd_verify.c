/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr verify */
#include "isrfs/cmd/commands.h"
#include "isrfs/sync/verify.h"

/* What this site has checked out, or else a published version as it lies at home. */
static int open_state(const struct cmd *c, const struct source *source, struct checkout **ret)
{
    struct failure failure = {0};
    if (source->version)
        return cmd_checkout(c, source, CHECKOUT_READ_ONLY, ret);
    /* what lies at home must not seem missing because that is away */
    unsigned flags = CHECKOUT_EXISTING | (cmd_value(c, "all") ? 0 : CHECKOUT_NO_HOME);
    int r = checkout_open(c->site, source, flags, ret, &failure);
    if (r == 0)
        return 0;
    *ret = NULL;
    if (r == -EALREADY || failure.outcome == OUTCOME_UNKNOWN)
        return cmd_checkout(c, source, CHECKOUT_READ_ONLY, ret);
    return cmd_fail(c, &failure);
}

static int print(const struct cmd *c, const struct source *source, const struct verify_result *v)
{
    char size[CMD_TEXT_SIZE];
    if (c->json)
        return cmd_print_json(c, json_pack("{s:s, s:I, s:I, s:I, s:I}", "parcel", source->parcel,
                                           "objects", (json_int_t)v->objects, "bytes",
                                           (json_int_t)v->bytes, "damaged", (json_int_t)v->damaged,
                                           "missing", (json_int_t)v->missing));
    printf("%s: %llu objects are good (%s), %llu damaged, %llu missing\n", source->parcel,
           (unsigned long long)v->objects, cmd_size(v->bytes, size), (unsigned long long)v->damaged,
           (unsigned long long)v->missing);
    return OUTCOME_DONE;
}

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_CHECKOUT struct checkout *checkout = NULL;
    int status = cmd_source(c, &source);
    status = status ? status : open_state(c, &source, &checkout);
    if (status)
        return status;
    struct failure failure = {0};
    struct verify_result result;
    struct cmd_progress progress;
    cmd_progress_start(&progress);
    bool all = cmd_value(c, "all") || !checkout->log;
    int r = verify(checkout, all, &progress.progress, &result, &failure);
    cmd_progress_end(&progress);
    if (r < 0)
        return cmd_fail(c, &failure);
    status = print(c, &source, &result);
    return result.damaged || result.missing ? OUTCOME_DAMAGED : status;
}

const struct command cmd_verify = {
    .name = "verify",
    .synopsis = "PARCEL[@VERSION]",
    .summary = "read objects back and check them",
    .help = "Checks what this site holds of a parcel that is checked out here, and with --all\n"
            "every object that its newest state needs. Of a VERSION, or a parcel that is not\n"
            "checked out here, every object at home is checked.",
    .options = {{'a', "all", NULL, "also what lies at home"}},
    .parcel = CMD_PARCEL_VERSION,
    .json = true,
    .run = run,
};
