/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr discard: the changes of a check-out are thrown away. */
#include <inttypes.h>
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/cmd/daemon.h"
#include "isrfs/sync/changes.h"
#include "isrfs/sync/discard.h"

#define NAMED     3 /* files that are named */
#define TEXT_SIZE 512

/* When the check-out began: the first number of its nonce. */
static const char *since(const struct checkout *checkout, char out[CMD_TEXT_SIZE])
{
    return cmd_time(strtoull(checkout->nonce, NULL, 10), out);
}

static void append(char *out, size_t room, const char *text)
{
    size_t used = strlen(out);
    snprintf(out + used, room - used, "%s", text);
}

/* "disk.img 20 MiB, mem.vmss 4 MiB, and 2 more" */
static void name_files(const struct changes *changes, char *out, size_t room)
{
    *out = '\0';
    for (size_t i = 0; i < changes->count && i < NAMED; i++) {
        const struct changed_file *f = &changes->files[i];
        char part[160], name[96], size[CMD_TEXT_SIZE];
        snprintf(part, sizeof part, "%s%s %s", i ? ", " : "", log_clean(name, sizeof name, f->path),
                 f->removed ? "removed" : cmd_size(f->bytes, size));
        append(out, room, part);
    }
    if (changes->count > NAMED) {
        char part[48];
        snprintf(part, sizeof part, ", and %zu more", changes->count - NAMED);
        append(out, room, part);
    }
}

/* What would be lost; empty if that is nothing. */
static void describe(const struct cmd *c, struct checkout *checkout, char *out, size_t room)
{
    CLEANUP_CHANGES struct changes changes = {0};
    struct failure failure = {0};
    char size[CMD_TEXT_SIZE], when[CMD_TEXT_SIZE], files[TEXT_SIZE / 2];
    *out = '\0';
    since(checkout, when);
    if (changes_list(checkout, &changes, &failure) < 0) {
        cmd_say(c, "%s", failure.text);
        snprintf(out, room, "whatever was written here since %s", when);
    } else if (changes.count > 0) {
        name_files(&changes, files, sizeof files);
        snprintf(out, room, "%s in %zu file%s (%s), written here since %s",
                 cmd_size(changes.bytes, size), changes.count, changes.count == 1 ? "" : "s", files,
                 when);
    }
}

static int confirm(const struct cmd *c, const struct checkout *checkout, const char *what)
{
    char question[TEXT_SIZE + 160];
    snprintf(question, sizeof question, "%s: %s, would be lost for good. Throw it away?",
             checkout->source.parcel, what);
    if (!*what || cmd_confirm(c, question))
        return 0;
    cmd_say(c, "%s: nothing was thrown away: %s, would be lost for good (--yes does it)",
            checkout->source.parcel, what);
    return OUTCOME_FAILED;
}

static int throw_away(const struct cmd *c, struct checkout *checkout, const char *what)
{
    struct failure failure = {0};
    if (discard(checkout, &failure) < 0)
        return cmd_fail(c, &failure);
    const char *parcel = checkout->source.parcel;
    if (!*what)
        printf("%s: nothing was changed here; ", parcel);
    else
        printf("%s: thrown away: %s; ", parcel, what);
    if (checkout->lost)
        puts("its lock was taken from this site before");
    else
        printf("given back at version %" PRIu64 "\n", checkout->base_version);
    return OUTCOME_DONE;
}

/* Something may be running there, and only the daemon knows what would be lost. */
static int refuse_mounted(const struct cmd *c, const struct source *source)
{
    CLEANUP_FREE char *advice = NULL;
    char parcel[256];
    log_clean(parcel, sizeof parcel, c->parcel);
    if (asprintf(&advice, "first isr umount --noci %s (no check-in), then isr discard %s", parcel,
                 parcel) < 0) {
        advice = NULL;
        return OUTCOME_FAILED;
    }
    return daemon_refuse(c, source, advice);
}

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_CHECKOUT struct checkout *checkout = NULL;
    char what[TEXT_SIZE];
    int status = cmd_source(c, &source);
    status = status ? status : refuse_mounted(c, &source);
    status = status ? status
                    : cmd_checkout(c, &source,
                                   CHECKOUT_EXISTING | CHECKOUT_NO_HOME | CHECKOUT_LOST |
                                       CHECKOUT_ACCEPT_LOSS | CHECKOUT_NO_LOG,
                                   &checkout);
    if (status || !checkout)
        return status;
    describe(c, checkout, what, sizeof what);
    status = confirm(c, checkout, what);
    return status ? status : throw_away(c, checkout, what);
}

const struct command cmd_discard = {
    .name = "discard",
    .synopsis = "PARCEL",
    .summary = "throw away what was changed here, give the lock back",
    .help =
        "Asks first, and says what would be lost. For a parcel that is not mounted (isr umount\n"
        "--noci unmounts it without a check-in).",
    .parcel = CMD_PARCEL,
    .yes = true,
    .run = run,
};
