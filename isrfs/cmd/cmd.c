/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arguments go through getopt_long with the options that every command takes and those of the
 * command. Numbers above the letters tell long options apart: the common ones have their letters,
 * the command's own are OWN + their place. */
#include "isrfs/cmd/cmd.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "isrfs/base/clock.h"
#include "isrfs/base/log.h"

#define OWN 1000

enum { COMMON_PARCEL = 500, COMMON_LOCKSRV, COMMON_USER, COMMON_JSON, COMMON_YES, COMMON_VERSION };

static const struct option common_options[] = {
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, COMMON_VERSION},
    {"locksrv", required_argument, NULL, COMMON_LOCKSRV},
    {"user", required_argument, NULL, COMMON_USER},
    {"parcel", required_argument, NULL, COMMON_PARCEL}, /* for commands that work on one */
    {"json", no_argument, NULL, COMMON_JSON},           /* these two for those that take them */
    {"yes", no_argument, NULL, COMMON_YES},
};
#define COMMON_COUNT (sizeof common_options / sizeof *common_options)

/* --- messages --- */

static void say(const struct cmd *c, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void say(const struct cmd *c, const char *format, va_list args)
{
    CLEANUP_FREE char *text = NULL; /* one write: other processes have the same standard error */
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    fprintf(stderr, "%s: %s\n", c->program, text ? text : "out of memory");
}

void cmd_say(const struct cmd *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(c, format, args);
    va_end(args);
}

static void synopsis(const struct cmd *c, FILE *out)
{
    fprintf(out, "usage: %s [OPTION]...%s%s\n", c->program, *c->command->synopsis ? " " : "",
            c->command->synopsis);
}

int cmd_usage(const struct cmd *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(c, format, args);
    va_end(args);
    synopsis(c, stderr);
    fprintf(stderr, "Try '%s --help'.\n", c->program);
    return OUTCOME_USAGE;
}

int cmd_fail(const struct cmd *c, const struct failure *failure)
{
    char text[sizeof failure->text];
    cmd_say(c, "%s", log_clean(text, sizeof text, failure->text));
    if (failure->outcome == OUTCOME_USAGE)
        synopsis(c, stderr);
    return failure->outcome == OUTCOME_DONE ? OUTCOME_FAILED : (int)failure->outcome;
}

static void help_line(char letter, const char *name, const char *argument, const char *text)
{
    char left[64];
    snprintf(left, sizeof left, "%c%c%s--%s%s%s", letter ? '-' : ' ', letter ? letter : ' ',
             letter ? ", " : "  ", name, argument ? "=" : "", argument ? argument : "");
    printf("  %-28s %s\n", left, text);
}

static int help(const struct cmd *c)
{
    const struct command *command = c->command;
    synopsis(c, stdout);
    printf("%s\n", command->summary);
    if (command->help)
        printf("\n%s\n", command->help);
    puts("\nOptions:");
    for (int i = 0; i < CMD_OPTIONS_MAX && command->options[i].name; i++) {
        const struct cmd_option *o = &command->options[i];
        help_line(o->letter, o->name, o->argument, o->help);
    }
    if (command->parcel != CMD_NO_PARCEL)
        help_line(0, "parcel", "PARCEL", "the parcel, instead of as the first argument");
    help_line(0, "locksrv", "SERVER", "the lock server: a folder, or ssh://[user@]host[:port]");
    help_line(0, "user", "USER", "whose parcels at the lock server");
    if (command->json)
        help_line(0, "json", NULL, "for programs: JSON on standard output");
    if (command->yes)
        help_line(0, "yes", NULL, "do not ask");
    help_line('h', "help", NULL, "say this");
    help_line(0, "version", NULL, "say which version this is");
    puts("\nExit status: 0 done, 1 failed, 2 usage, 3 the lock is held elsewhere or lost,\n"
         "4 no such parcel, version or file, 5 damaged data, 6 not reachable. See isr(1).");
    return 0;
}

/* --- arguments --- */

static bool takes(const struct command *command, int code)
{
    return (code != COMMON_PARCEL || command->parcel != CMD_NO_PARCEL) &&
           (code != COMMON_JSON || command->json) && (code != COMMON_YES || command->yes);
}

struct grammar {
    struct option longs[COMMON_COUNT + CMD_OPTIONS_MAX + 1];
    char shorts[2 * CMD_OPTIONS_MAX + 4];
};

static void build_grammar(const struct command *command, struct grammar *g)
{
    size_t count = 0, length = 0;
    *g = (struct grammar){0};
    g->shorts[length++] = ':';
    g->shorts[length++] = 'h';
    for (size_t i = 0; i < COMMON_COUNT; i++)
        if (takes(command, common_options[i].val))
            g->longs[count++] = common_options[i];
    for (int i = 0; i < CMD_OPTIONS_MAX && command->options[i].name; i++) {
        const struct cmd_option *o = &command->options[i];
        g->longs[count++] =
            (struct option){o->name, o->argument ? required_argument : no_argument, NULL, OWN + i};
        if (!o->letter)
            continue;
        g->shorts[length++] = o->letter;
        if (o->argument)
            g->shorts[length++] = ':';
    }
}

static int own_index(const struct command *command, int code)
{
    if (code >= OWN)
        return code - OWN;
    for (int i = 0; i < CMD_OPTIONS_MAX && command->options[i].name; i++)
        if (command->options[i].letter == code)
            return i;
    return -1;
}

/* -1 goes on, else the exit status. */
static int take_option(struct cmd *c, int code)
{
    switch (code) {
    case 'h':
        return help(c);
    case COMMON_VERSION:
        printf("isr (isrfs) %s\n", ISRFS_VERSION);
        return 0;
    case COMMON_PARCEL:
        c->parcel = optarg;
        return -1;
    case COMMON_LOCKSRV:
        c->locksrv = optarg;
        return -1;
    case COMMON_USER:
        c->user = optarg;
        return -1;
    case COMMON_JSON:
        c->json = true;
        return -1;
    case COMMON_YES:
        c->yes = true;
        return -1;
    default: {
        int i = own_index(c->command, code);
        c->values[i] = optarg ? optarg : "";
        return -1;
    }
    }
}

static int bad_option(const struct cmd *c, int code, char **argv)
{
    char text[128];
    const char *word = argv[optind - 1];
    if (code == ':')
        return cmd_usage(c, "%s needs an argument", log_clean(text, sizeof text, word));
    if (optopt > ' ' && optopt < 0x7f && word[0] == '-' && word[1] != '-')
        return cmd_usage(c, "there is no option -%c", optopt);
    return cmd_usage(c, "there is no option %s, or it is used wrongly",
                     log_clean(text, sizeof text, word));
}

static int parse(struct cmd *c, int argc, char **argv)
{
    struct grammar g;
    build_grammar(c->command, &g);
    opterr = 0;
    optind = 0; /* begin anew: main has used it */
    int code;
    while ((code = getopt_long(argc, argv, g.shorts, g.longs, NULL)) != -1) {
        int status = code == '?' || code == ':' ? bad_option(c, code, argv) : take_option(c, code);
        if (status >= 0)
            return status;
    }
    c->args = argv + optind;
    c->count = argc - optind;
    if (c->command->parcel != CMD_NO_PARCEL && !c->parcel && c->count > 0) {
        c->parcel = *c->args++;
        c->count--;
    }
    if (c->command->parcel >= CMD_PARCEL && !c->parcel)
        return cmd_usage(c, "which parcel?");
    if (c->count < c->command->min)
        return cmd_usage(c, "an argument is missing");
    if (c->command->max >= 0 && c->count > c->command->max) {
        char text[128];
        return cmd_usage(c, "what is '%s' for?",
                         log_clean(text, sizeof text, c->args[c->command->max]));
    }
    return -1;
}

int cmd_run(const struct command *command, const char *program, int argc, char **argv)
{
    struct cmd c = {.program = program, .command = command};
    int status = parse(&c, argc, argv);
    if (status >= 0)
        return status;
    if (site_open(&c.site) < 0)
        return OUTCOME_FAILED; /* logged */
    status = command->run(&c);
    site_close(c.site);
    return status;
}

const char *cmd_value(const struct cmd *c, const char *name)
{
    for (int i = 0; i < CMD_OPTIONS_MAX && c->command->options[i].name; i++)
        if (strcmp(c->command->options[i].name, name) == 0)
            return c->values[i];
    return NULL;
}

int cmd_source(const struct cmd *c, struct source *ret)
{
    int r = c->parcel ? source_parse(c->site, c->parcel, c->locksrv, c->user, ret)
                      : source_parse_server(c->site, c->locksrv, c->user, ret);
    if (r < 0) {
        synopsis(c, stderr); /* the reason is logged */
        return OUTCOME_USAGE;
    }
    if (ret->version && c->command->parcel != CMD_PARCEL_VERSION) {
        source_free(ret);
        return cmd_usage(c, "this works on the parcel, not on one of its versions");
    }
    return 0;
}

int cmd_checkout(const struct cmd *c, const struct source *source, unsigned flags,
                 struct checkout **ret)
{
    struct failure failure = {0};
    *ret = NULL;
    int r = checkout_open(c->site, source, flags, ret, &failure);
    if (r == -EALREADY) { /* the last command was cut off after its end at the lock server */
        cmd_say(c, "%s", failure.text);
        if (flags & CHECKOUT_EXISTING)
            return 0;
        r = checkout_open(c->site, source, flags, ret, &failure);
    }
    return r < 0 ? cmd_fail(c, &failure) : 0;
}

bool cmd_confirm(const struct cmd *c, const char *question)
{
    if (c->yes)
        return true;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return false;
    char answer[16];
    fprintf(stderr, "%s [yes/no] ", question);
    return fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0;
}

bool cmd_confirm_name(const struct cmd *c, const char *question, const char *name)
{
    if (c->yes)
        return true;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return false;
    char answer[256];
    fprintf(stderr, "%s ", question);
    if (!fgets(answer, sizeof answer, stdin))
        return false;
    answer[strcspn(answer, "\n")] = '\0';
    return strcmp(answer, name) == 0;
}

/* --- progress --- */

static void report(void *ctx, const char *text, uint64_t done, uint64_t total)
{
    struct cmd_progress *p = ctx;
    int64_t now = clock_ms();
    if (p->terminal ? now - p->start_ms < 1000 || now - p->last_ms < 100 : now - p->last_ms < 5000)
        return;
    p->last_ms = now;
    p->shown = p->terminal;
    char clean[256], size[CMD_TEXT_SIZE], all[CMD_TEXT_SIZE];
    char part[2 * CMD_TEXT_SIZE + 16] = "";
    cmd_size(done, size);
    if (total)
        snprintf(part, sizeof part, ": %s of %s (%u %%)", size, cmd_size(total, all),
                 (unsigned)((double)done * 100 / (double)total));
    else if (done)
        snprintf(part, sizeof part, ": %s", size);
    fprintf(stderr, "%s%s%s%s", p->terminal ? "\r\033[K" : "", log_clean(clean, sizeof clean, text),
            part, p->terminal ? "" : "\n");
}

void cmd_progress_start(struct cmd_progress *p)
{
    int64_t now = clock_ms();
    *p = (struct cmd_progress){.progress = {.report = report, .ctx = p},
                               .start_ms = now,
                               .last_ms = now,
                               .terminal = isatty(STDERR_FILENO)};
}

void cmd_progress_end(struct cmd_progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}

/* --- values for people and programs --- */

const char *cmd_size(uint64_t bytes, char out[CMD_TEXT_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1024;
    snprintf(out, CMD_TEXT_SIZE, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value,
             units[unit]);
    return out;
}

const char *cmd_time(uint64_t seconds, char out[CMD_TEXT_SIZE])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    if (seconds > INT64_MAX || !localtime_r(&t, &tm) ||
        strftime(out, CMD_TEXT_SIZE, "%Y-%m-%d %H:%M", &tm) == 0)
        strcpy(out, "?");
    return out;
}

int cmd_print_json(const struct cmd *c, json_t *value)
{
    CLEANUP_FREE char *text = value ? json_dumps(value, JSON_INDENT(2) | JSON_ENSURE_ASCII) : NULL;
    json_decref(value);
    if (!text) {
        cmd_say(c, "out of memory");
        return OUTCOME_FAILED;
    }
    puts(text);
    return OUTCOME_DONE;
}
