/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr resize */
#include <inttypes.h>
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/sync/checkout_lock.h"
#include "isrfs/sync/resize.h"

/* 64G, 512M or a number of bytes. False for anything else. */
static bool read_size(const char *text, uint64_t *ret)
{
    static const char units[] = "KMGTP";
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18)
        return false;
    uint64_t value = strtoull(text, NULL, 10);
    const char *unit = text[digits] ? strchr(units, text[digits] & ~0x20) : NULL;
    if (text[digits] && (!unit || !*unit || text[digits + 1]))
        return false;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (value > (uint64_t)INT64_MAX >> shift)
        return false;
    *ret = value << shift;
    return true;
}

static bool may_shrink(void *ctx, uint64_t from, uint64_t to)
{
    const struct cmd *c = ctx;
    char question[256], name[128], before[CMD_TEXT_SIZE], after[CMD_TEXT_SIZE];
    if (cmd_value(c, "shrink"))
        return true;
    snprintf(question, sizeof question, "%s has %s, and all beyond %s would be cut off. Shrink it?",
             log_clean(name, sizeof name, c->args[0]), cmd_size(from, before), cmd_size(to, after));
    if (cmd_confirm(c, question))
        return true;
    cmd_say(c, "%s has %s, and all beyond %s would be cut off: --shrink does so", name, before,
            after);
    return false;
}

/* What this call has checked out it gives back. */
static int publish(const struct cmd *c, struct checkout *checkout, const char *comment,
                   uint64_t from, uint64_t to)
{
    struct failure failure = {0};
    struct checkin_result result;
    struct cmd_progress progress;
    bool release = checkout->fresh;
    cmd_progress_start(&progress);
    int r = checkin(checkout, release, comment, &progress.progress, &result, &failure);
    cmd_progress_end(&progress);
    if (r < 0)
        return cmd_fail(c, &failure);
    char name[128];
    log_clean(name, sizeof name, c->args[0]);
    if (from == to)
        printf("%s: %s has %" PRIu64 " bytes already\n", checkout->source.parcel, name, to);
    else
        printf("%s: %s has %" PRIu64 " bytes in version %" PRIu64 " (before: %" PRIu64 ")%s\n",
               checkout->source.parcel, name, to, result.version, from,
               release ? "" : "; the parcel stays checked out here");
    return OUTCOME_DONE;
}

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_CHECKOUT struct checkout *checkout = NULL;
    const char *comment = NULL;
    uint64_t size, from = 0;
    if (!read_size(c->args[1], &size))
        return cmd_usage(c, "SIZE is a number of bytes, or one with K, M, G, T or P");
    int status = cmd_text(c, "comment", &comment);
    status = status ? status : cmd_source(c, &source);
    status = status ? status : cmd_checkout(c, &source, 0, &checkout);
    if (status)
        return status;
    struct failure failure = {0};
    struct resize_question question = {.may_shrink = may_shrink, .ctx = c};
    int r = resize_file(checkout, c->args[0], size, &question, &from, &failure);
    if (r == 0)
        return publish(c, checkout, comment, from, size);
    status = r == -ECANCELED ? OUTCOME_FAILED : cmd_fail(c, &failure);
    if (checkout->fresh)
        checkout_lock_abandon(checkout);
    return status;
}

const struct command cmd_resize = {
    .name = "resize",
    .synopsis = "PARCEL FILE SIZE",
    .summary = "change the size of a file, such as a disk",
    .help =
        "FILE is its path in the parcel, SIZE in bytes, or with K, M, G, T or P. What grows is\n"
        "zeros; the partitions and file systems in a disk stay as they are. The result is\n"
        "published as a new version. Shrinking cuts off the end, after a question.",
    .options = {{0, "shrink", NULL, "cut off the end without a question"},
                {'m', "comment", "TEXT", "a remark for the history"}},
    .parcel = CMD_PARCEL,
    .min = 2,
    .max = 2,
    .run = run,
};
