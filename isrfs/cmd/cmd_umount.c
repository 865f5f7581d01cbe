/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr umount, also as the helper of umount(8). What is unmounted is named by its folder or by its
 * parcel; the daemon's state folder is found through what the mount says of itself or, when the
 * daemon has died, through what /proc says was mounted. */
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <sys/mount.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/cmd/daemon.h"

#define STATUS_LIMIT 65536

/* The member "state_path" of the mount's own status: the caller's, or NULL. */
static int ask_mount(const char *dir, char **ret)
{
    CLEANUP_FREE char *path = NULL;
    CLEANUP_BUFFER struct buffer text = {0};
    *ret = NULL;
    if (asprintf(&path, "%s/.isrfs/status", dir) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    int r = io_read_file(AT_FDCWD, path, STATUS_LIMIT, &text);
    if (r < 0)
        return r;
    CLEANUP_JSON json_t *status = json_loadb((const char *)text.data, text.size, 0, NULL);
    const char *state = json_string_value(json_object_get(status, "state_path"));
    if (!json_is_object(status))
        return -EBADMSG;
    *ret = state ? strdup(state) : NULL;
    return state && !*ret ? -ENOMEM : 0;
}

static int umount_folder(struct cmd *c, const char *dir, const char *mounted, int flags)
{
    CLEANUP_FREE char *state = NULL;
    if (ask_mount(dir, &state) < 0) {
        CLEANUP_SOURCE struct source source = {0};
        if (!c->site && site_open(&c->site) < 0)
            return OUTCOME_FAILED; /* logged */
        if (source_parse(c->site, mounted, NULL, NULL, &source) == 0 && !source.version)
            state = site_parcel_path(c->site, &source);
    }
    return daemon_unmount(c, dir, state, cmd_value(c, "noci"), flags);
}

static int umount_parcel(struct cmd *c, int flags)
{
    CLEANUP_SOURCE struct source source = {0};
    CLEANUP_JSON json_t *status = NULL;
    int exit_status = cmd_source(c, &source);
    if (exit_status)
        return exit_status;
    CLEANUP_FREE char *state = site_parcel_path(c->site, &source);
    const char *dir = NULL;
    if (state && daemon_status(state, &status) == 0)
        dir = json_string_value(json_object_get(status, "mountpoint"));
    if (!dir) {
        cmd_say(c, "%s is not mounted at this site", source.parcel);
        return OUTCOME_UNKNOWN;
    }
    return daemon_unmount(c, dir, state, cmd_value(c, "noci"), flags);
}

static int umount_word(struct cmd *c, int flags)
{
    CLEANUP_FREE char *dir = NULL, *mounted = NULL;
    if (site_resolve(c->parcel, &dir) == 0 && daemon_find_mount(dir, &mounted) == 0)
        return umount_folder(c, dir, mounted, flags);
    if (strchr(c->parcel, '/') && !strchr(c->parcel, ':')) {
        char clean[256];
        cmd_say(c, "isrfs is not mounted on %s", log_clean(clean, sizeof clean, c->parcel));
        return OUTCOME_UNKNOWN;
    }
    return umount_parcel(c, flags);
}

static int run(struct cmd *c)
{
    return umount_word(c, 0);
}

const struct command cmd_umount = {
    .name = "umount",
    .synopsis = "DIR|PARCEL",
    .summary = "unmount a parcel and wait until it is checked in",
    .help = "Fails if anything is left undone; isr status then says what, and isr ci does it.",
    .options = {{0, "noci", NULL, "without a check-in: the parcel stays here, with its lock"}},
    .parcel = CMD_PARCEL,
    .run = run,
};

int cmd_umount_helper(int argc, char **argv)
{
    struct cmd c = {.program = "umount.fuse.isrfs", .command = &cmd_umount};
    int flags = 0, code;
    opterr = 0;
    while ((code = getopt(argc, argv, "flnrvN:t:")) != -1) {
        if (code == '?')
            return cmd_usage(&c, "there is no option -%c", optopt);
        flags |= code == 'f' ? MNT_FORCE : code == 'l' ? MNT_DETACH : 0;
    }
    if (argc - optind != 1)
        return cmd_usage(&c, "which folder?");
    CLEANUP_FREE char *dir = NULL, *mounted = NULL;
    if (site_resolve(argv[optind], &dir) < 0 || daemon_find_mount(dir, &mounted) < 0) {
        cmd_say(&c, "isrfs is not mounted there");
        return OUTCOME_FAILED;
    }
    /* Whoever unmounts need have no site: it is opened only if the mount does not answer. */
    int status = umount_folder(&c, dir, mounted, flags);
    site_close(c.site);
    return status;
}
