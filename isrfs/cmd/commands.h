/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table's entries, one for each cmd_<name>.c. */
#ifndef ISRFS_CMD_COMMANDS_H
#define ISRFS_CMD_COMMANDS_H

#include "isrfs/cmd/cmd.h"

extern const struct command cmd_import, cmd_export, cmd_ls, cmd_mount, cmd_umount, cmd_co, cmd_ci,
    cmd_run_parcel, cmd_status, cmd_history, cmd_checkpoint, cmd_verify, cmd_discard;
extern const struct command cmd_break_lock, cmd_rollback, cmd_clone, cmd_resize, cmd_rm, cmd_prune;
extern const struct command cmd_recovery_key, cmd_rekey;

/* As `umount DIR` calls it: umount.fuse.isrfs DIR [-flnrv] [-N namespace] [-t type]. */
int cmd_umount_helper(int argc, char **argv);

#endif
