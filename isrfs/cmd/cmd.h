/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the subcommands of `isr` share: arguments, messages, exit statuses, progress. Each command
 * is one struct command in a file of its own. The program has one thread unless a command says
 * otherwise. */
#ifndef ISRFS_CMD_CMD_H
#define ISRFS_CMD_CMD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/sync/checkin.h"
#include "isrfs/sync/site.h"

#define CLEANUP_CHECKOUT CLEANUP(cmd_cleanup_checkout)
#define CMD_OPTIONS_MAX  8

struct cmd;

/* An option of one command only. */
struct cmd_option {
    char letter; /* '\0': none */
    const char *name;
    const char *argument; /* what to call it; NULL: the option has none */
    const char *help;
};

/* Does the command work on a parcel? It is given with --parcel or as the first plain argument. */
enum cmd_parcel { CMD_NO_PARCEL, CMD_MAY_PARCEL, CMD_PARCEL, CMD_PARCEL_VERSION };

struct command {
    const char *name;
    const char *synopsis;                       /* the plain arguments */
    const char *summary;                        /* one line */
    const char *help;                           /* further lines, may be NULL */
    struct cmd_option options[CMD_OPTIONS_MAX]; /* up to one without a name */
    enum cmd_parcel parcel;                     /* CMD_PARCEL_VERSION: PARCEL@VERSION too */
    bool json, yes;                             /* takes --json, --yes */
    int min, max;              /* plain arguments beside the parcel; max < 0: any number */
    int (*run)(struct cmd *c); /* returns the exit status */
};

struct cmd {
    const char *program; /* what it was called as: "isr co", "isr_parcel_co" */
    const struct command *command;
    struct site *site;
    const char *parcel, *locksrv, *user; /* as given; NULL: not */
    bool json, yes;
    char **args; /* plain arguments beside the parcel */
    int count;
    const char *values[CMD_OPTIONS_MAX]; /* of the command's options; "" for one without argument */
};

/* Reads the arguments (ARGV[0] is skipped), opens the site, runs the command. The exit status. */
int cmd_run(const struct command *command, const char *program, int argc, char **argv);

/* The value of the command's own option, or NULL if it was not given. */
const char *cmd_value(const struct cmd *c, const char *name);

/* One line on standard error, "isr co: ...". Text from outside must have been through log_clean. */
void cmd_say(const struct cmd *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same and the synopsis; returns 2. */
int cmd_usage(const struct cmd *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says why; returns the exit status. */
int cmd_fail(const struct cmd *c, const struct failure *failure);

/* The parcel that was given, or with CMD_NO_PARCEL and none the lock server. 0, or the exit status
 * (said). */
int cmd_source(const struct cmd *c, struct source *ret);

/* checkout_open, for commands. A check-out that turns out to have ended already is said to have;
 * then, with CHECKOUT_EXISTING, *RET is NULL and the status 0, else it is checked out anew. 0, or
 * the exit status (said). */
int cmd_checkout(const struct cmd *c, const struct source *source, unsigned flags,
                 struct checkout **ret);

/* Asks a question on the terminal. False without a terminal, and for anything but yes. --yes has
 * answered already. */
bool cmd_confirm(const struct cmd *c, const char *question);

/* Asks for NAME to be typed, before what cannot be undone. Otherwise as cmd_confirm. */
bool cmd_confirm_name(const struct cmd *c, const char *question, const char *name);

/* A text for other people to read (a comment, a reason), or NULL, as the command's own option NAME
 * gives it: UTF-8 without control characters, at most what the lock server keeps. 0, or the exit
 * status (said). */
int cmd_text(const struct cmd *c, const char *name, const char **ret);

/* PLAIN, which may be anything, for this terminal: what its character set does not have or what
 * would not just be shown is a question mark. The caller's, or NULL. */
char *cmd_showable(const char *plain);

/* How far the work has come, on standard error: on a terminal one line that changes, once it has
 * taken a second; else a line now and then. */
struct cmd_progress {
    struct progress progress; /* to be handed on */
    int64_t start_ms, last_ms;
    bool terminal, shown;
};
void cmd_progress_start(struct cmd_progress *p);
/* Removes the line; before anything else is said. */
void cmd_progress_end(struct cmd_progress *p);
#define CLEANUP_PROGRESS CLEANUP(cmd_progress_end)

/* For people: "1.5 GiB"; local time without seconds. */
#define CMD_TEXT_SIZE 32
const char *cmd_size(uint64_t bytes, char out[CMD_TEXT_SIZE]);
const char *cmd_time(uint64_t seconds, char out[CMD_TEXT_SIZE]);

/* Prints a value (stolen) and a newline on standard output. 0 or 1 (said). */
int cmd_print_json(const struct cmd *c, json_t *value);

static inline void cmd_cleanup_checkout(struct checkout **c)
{
    checkout_close(*c);
}

static inline void cmd_cleanup_json(json_t **json)
{
    json_decref(*json);
}
#define CLEANUP_JSON CLEANUP(cmd_cleanup_json)

#endif
