/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `isr COMMAND ...`: a table of subcommands, each in a file of its own. Under another name (a link
 * to it) it is one of them: the names that the commands had before, and umount(8)'s helper. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/cmd/cmd.h"
#include "isrfs/cmd/commands.h"
#include "isrfs/parcel/catalog.h"

static const struct command *const commands[] = {
    &cmd_import,     &cmd_export, &cmd_ls,         &cmd_mount,        &cmd_umount,
    &cmd_co,         &cmd_ci,     &cmd_run_parcel, &cmd_status,       &cmd_history,
    &cmd_checkpoint, &cmd_verify, &cmd_rollback,   &cmd_clone,        &cmd_resize,
    &cmd_prune,      &cmd_rm,     &cmd_break_lock, &cmd_recovery_key, &cmd_rekey,
    &cmd_discard,
};
#define COMMANDS (sizeof commands / sizeof *commands)

static const struct link {
    const char *name;
    const struct command *command;
} links[] = {
    {"isr_get_parcel_names", &cmd_ls},
    {"isr_parcel_co", &cmd_co},
    {"isr_parcel_ci", &cmd_ci},
    {"isr_parcel_run", &cmd_run_parcel},
    {"isr_parcel_checkpoint", &cmd_checkpoint},
    {"isr_parcel_verify", &cmd_verify},
};

static void list_commands(FILE *out)
{
    fputs("usage: isr COMMAND [OPTION]... [ARGUMENT]...\n\nCommands:\n", out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-13s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n'isr COMMAND --help' says more, isr(1) all.\n", out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int run_by_word(int argc, char **argv)
{
    if (argc < 2) {
        list_commands(stderr);
        return OUTCOME_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        list_commands(stdout);
        return OUTCOME_DONE;
    }
    if (strcmp(word, "--version") == 0) {
        printf("isr (isrfs) %s\n", ISRFS_VERSION);
        return OUTCOME_DONE;
    }
    const struct command *command = find_command(word);
    if (!command) {
        char clean[128];
        fprintf(stderr, "isr: there is no command '%s'\n", log_clean(clean, sizeof clean, word));
        list_commands(stderr);
        return OUTCOME_USAGE;
    }
    char program[64];
    snprintf(program, sizeof program, "isr %s", command->name);
    return cmd_run(command, program, argc - 1, argv + 1);
}

static int dispatch(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *name = argc < 1 ? "isr" : slash ? slash + 1 : argv[0];
    if (strcmp(name, "umount.fuse.isrfs") == 0)
        return cmd_umount_helper(argc, argv);
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (strcmp(links[i].name, name) == 0)
            return cmd_run(links[i].command, name, argc, argv);
    return run_by_word(argc, argv);
}

/* Files that are opened must not get the numbers of standard streams that are closed. */
static int fill_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
    umask(077);
    if (fill_standard_streams() < 0)
        return OUTCOME_FAILED;
    secret_protect_process();
    catalog_init_json();
    int status = dispatch(argc, argv);
    if (fflush(stdout) != 0 && status == OUTCOME_DONE) {
        fprintf(stderr, "isr: cannot write to standard output: %s\n", strerror(errno));
        status = OUTCOME_FAILED;
    }
    return status;
}
