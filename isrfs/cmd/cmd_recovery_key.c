/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr recovery-key */
#include <string.h>

#include "isrfs/base/secret.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/cmd/recovery_words.h"
#include "isrfs/sync/server.h"

static int show(const struct cmd *c, const struct lockclient_user *user)
{
    if (!user->has_recovery) {
        cmd_say(c, "the lock server is of an older release, which has no recovery keys");
        return OUTCOME_FAILED;
    }
    CLEANUP_SECRET char *words = secret_alloc(WORDS_TEXT_SIZE);
    if (!words) {
        cmd_say(c, "out of memory");
        return OUTCOME_FAILED;
    }
    words_encode(user->recovery, words);
    recovery_words_print(words, false);
    return OUTCOME_DONE;
}

static int run(struct cmd *c)
{
    if (!cmd_value(c, "show") && !isatty(STDOUT_FILENO))
        return cmd_usage(c, "standard output is no terminal; --show prints the key all the same");
    CLEANUP_SOURCE struct source source = {0};
    int status = cmd_source(c, &source);
    if (status)
        return status;
    struct failure failure = {0};
    struct lockclient_error error = {0};
    struct lockclient_user *user = NULL;
    CLEANUP_LOCKCLIENT struct lockclient *client = NULL;
    if (server_open(c->site, &source, false, &client, &failure) < 0)
        return cmd_fail(c, &failure);
    int r = lockclient_user(client, &user, &error);
    if (r < 0) {
        server_failure(&failure, &source, r, &error);
        return cmd_fail(c, &failure);
    }
    status = show(c, user);
    lockclient_user_free(user);
    return status;
}

const struct command cmd_recovery_key = {
    .name = "recovery-key",
    .synopsis = "",
    .summary = "show the words that bring parcels back without the lock server",
    .help = "They were shown once when the first parcel was made. isr import --recover takes them.",
    .options = {{0, "show", NULL, "also when standard output is no terminal"}},
    .parcel = CMD_NO_PARCEL,
    .run = run,
};
