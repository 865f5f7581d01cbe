/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr mount: becomes isrfs, which does the work and says what is wrong. */
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/cmd/daemon.h"

static int run(struct cmd *c)
{
    CLEANUP_SOURCE struct source source = {0};
    int status = cmd_source(c, &source);
    if (status)
        return status;
    CLEANUP_FREE char *text = source_text(&source);
    CLEANUP_FREE char *program = daemon_program("isrfs");
    const char *options = cmd_value(c, "options");
    if (!text || !program || setenv("ISR_USER", source.user, 1) < 0) {
        cmd_say(c, "out of memory");
        return OUTCOME_FAILED;
    }
    /* What was typed is what /proc/mounts shows, unless options say more. */
    const char *name = c->locksrv ? text : c->parcel;
    const char *argv[] = {"isrfs", name, c->args[0], options ? "-o" : NULL, options, NULL};
    execvp(program, (char *const *)(const void *)argv);
    char clean[256];
    cmd_say(c, "cannot run %s: %s", log_clean(clean, sizeof clean, program), strerror(errno));
    return OUTCOME_FAILED;
}

const struct command cmd_mount = {
    .name = "mount",
    .synopsis = "PARCEL[@VERSION] DIR",
    .summary = "check a parcel out and mount it",
    .help = "With @VERSION that version is mounted, read-only. Unmounting (isr umount, umount,\n"
            "fusermount3 -u) checks the parcel in. See isrfs(8) for the mount options.",
    .options = {{'o', "options", "OPTIONS", "mount options, separated by commas"}},
    .parcel = CMD_PARCEL_VERSION,
    .min = 1,
    .max = 1,
    .run = run,
};
