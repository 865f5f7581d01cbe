/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr checkpoint */
#include <inttypes.h>
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/cmd/daemon.h"
#include "isrfs/sync/recover.h"

static void print(const struct source *source, bool changed, uint64_t version)
{
    printf(changed ? "%s: version %" PRIu64 " is published; the parcel stays checked out\n"
                   : "%s: nothing has changed since version %" PRIu64 "\n",
           source->parcel, version);
}

/* By the daemon that has the parcel mounted. -ENOENT if there is none; else 0 with the exit status.
 */
static int by_daemon(const struct cmd *c, const struct source *source, const char *comment,
                     int *ret_status)
{
    CLEANUP_FREE char *state = site_parcel_path(c->site, source);
    CLEANUP_FREE char *encoded = percent_encode(comment ? comment : "");
    CLEANUP_FREE char *request = NULL;
    const char *word = cmd_value(c, "disk-only") ? "checkpoint-disk" : "checkpoint";
    if (!state || !encoded || asprintf(&request, "%s %s", word, encoded) < 0) {
        cmd_say(c, "out of memory");
        *ret_status = OUTCOME_FAILED;
        return 0;
    }
    CLEANUP_BUFFER struct buffer answer = {0};
    struct failure failure = {0};
    struct cmd_progress progress;
    cmd_progress_start(&progress);
    int r = daemon_request(state, request, &progress.progress, &answer, &failure);
    cmd_progress_end(&progress);
    if (r == -ENOENT)
        return r;
    if (r < 0) {
        cmd_say(c, "the daemon of %s did not answer: %s", source->parcel, strerror(-r));
        *ret_status = OUTCOME_FAILED;
    } else if (failure.outcome != OUTCOME_DONE) {
        *ret_status = cmd_fail(c, &failure);
    } else {
        CLEANUP_JSON json_t *result =
            json_loadb((const char *)answer.data, answer.size, JSON_DISABLE_EOF_CHECK, NULL);
        json_int_t version = json_integer_value(json_object_get(result, "version"));
        print(source, json_is_true(json_object_get(result, "changed")), (uint64_t)version);
        *ret_status = OUTCOME_DONE;
    }
    return 0;
}

static int here(const struct cmd *c, const struct source *source, const char *comment)
{
    CLEANUP_CHECKOUT struct checkout *checkout = NULL;
    int status = cmd_checkout(c, source, CHECKOUT_EXISTING, &checkout);
    if (status || !checkout)
        return status;
    checkout->disk_only = cmd_value(c, "disk-only");
    struct failure failure = {0};
    struct checkin_result result;
    struct cmd_progress progress;
    char line[RECOVER_LINE_SIZE];
    if (recover(checkout, &failure) < 0)
        return cmd_fail(c, &failure);
    if (recover_line(checkout, line))
        cmd_say(c, "%s", line);
    cmd_progress_start(&progress);
    int r = checkin(checkout, false, comment, &progress.progress, &result, &failure);
    cmd_progress_end(&progress);
    if (r < 0)
        return cmd_fail(c, &failure);
    print(source, result.changed, result.version);
    return OUTCOME_DONE;
}

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    const char *comment = NULL;
    int status = cmd_text(c, "comment", &comment);
    status = status ? status : cmd_source(c, &source);
    if (status)
        return status;
    if (by_daemon(c, &source, comment, &status) == -ENOENT)
        status = here(c, &source, comment);
    return status;
}

const struct command cmd_checkpoint = {
    .name = "checkpoint",
    .synopsis = "PARCEL",
    .summary = "publish a version and keep the parcel checked out",
    .options = {{'m', "comment", "TEXT", "a remark for the history"},
                {0, "disk-only", NULL, "leave a running machine's memory out"}},
    .parcel = CMD_PARCEL,
    .run = run,
};
