/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mount(8) hands on every option of an fstab line, also those that are meant for itself: these are
 * known by name and ignored. Anything else that is not known is refused, so that a misspelt option
 * is never taken for one that works. */
#include "isrfs/cmd/isrfs_options.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "isrfs/base/buffer.h"
#include "isrfs/base/log.h"
#include "isrfs/sync/home.h"

/* IGNORED is also what is always so (nosuid, nodev) or cannot be otherwise (dev, suid: mount(8)
 * says them for root whether they were asked for or not). */
enum kind {
    IGNORED,
    PASSED,
    READ_ONLY,
    READ_WRITE,
    ALLOW_OTHER,
    NO_CHECKIN,
    LOCKSRV,
    USER,
    CACHE,
    HOME_WAIT
};

static const struct {
    const char *name;
    enum kind kind;
    bool has_value;
} known[] = {
    {"ro", READ_ONLY, false},
    {"rw", READ_WRITE, false},
    {"allow_other", ALLOW_OTHER, false},
    {"noci", NO_CHECKIN, false},
    {"locksrv", LOCKSRV, true},
    {"user", USER, true},
    {"cache_size", CACHE, true},
    {"home_wait", HOME_WAIT, true},
    {"noexec", PASSED, false},
    {"sync", PASSED, false},
    {"dirsync", PASSED, false},
    {"exec", IGNORED, false},
    {"async", IGNORED, false},
    {"suid", IGNORED, false},
    {"nosuid", IGNORED, false},
    {"dev", IGNORED, false},
    {"nodev", IGNORED, false},
    {"default_permissions", IGNORED, false},
    {"defaults", IGNORED, false},
    {"auto", IGNORED, false},
    {"noauto", IGNORED, false},
    {"user", IGNORED, false},
    {"nouser", IGNORED, false},
    {"users", IGNORED, false},
    {"owner", IGNORED, false},
    {"group", IGNORED, false},
    {"nofail", IGNORED, false},
    {"_netdev", IGNORED, false},
    {"atime", IGNORED, false},
    {"noatime", IGNORED, false},
    {"diratime", IGNORED, false},
    {"nodiratime", IGNORED, false},
    {"relatime", IGNORED, false},
    {"norelatime", IGNORED, false},
    {"strictatime", IGNORED, false},
    {"nostrictatime", IGNORED, false},
    {"lazytime", IGNORED, false},
    {"nolazytime", IGNORED, false},
    {"comment", IGNORED, true},
    {"subtype", IGNORED, true},
    {"fsname", IGNORED, true},
};

void isrfs_options_usage(void)
{
    fputs("usage: isrfs [-f] [-o OPTION,...] [[ssh://][USER@]HOST[:PORT]:|/FOLDER:]PARCEL[@VERSION]"
          " DIR\n",
          stderr);
}

static void help(void)
{
    puts("usage: isrfs [-f] [-o OPTION,...] SOURCE DIR\n"
         "Checks a parcel out and mounts it on the empty folder DIR; unmounting checks it in.\n\n"
         "SOURCE is PARCEL, [ssh://][USER@]HOST[:PORT]:PARCEL or /LOCKSERVER/FOLDER:PARCEL, and\n"
         "may end in @VERSION (read-only).\n\n"
         "  -f, --foreground   stay in the foreground, with messages on standard error\n"
         "  -o OPTION,...      mount options:\n"
         "       ro               the newest version, without its lock; nothing can be changed\n"
         "       noci             keep the parcel checked out when it is unmounted\n"
         "       allow_other      let other users in, as far as the files' modes do\n"
         "       locksrv=SERVER   the lock server: a folder or ssh://[USER@]HOST[:PORT]\n"
         "       user=NAME        the user at the lock server\n"
         "       cache_size=SIZE  memory for decoded chunks, such as 256M\n"
         "       home_wait=TIME   seconds that a read waits while the home is away, or forever\n"
         "       noexec, sync, dirsync, and what mount(8) keeps to itself\n"
         "  -h, --help; -V, --version\n\n"
         "isrfs(8) says more.");
}

static int complain(const char *what, const char *which)
{
    char clean[128];
    fprintf(stderr, "isrfs: %s%s\n", what, log_clean(clean, sizeof clean, which));
    isrfs_options_usage();
    return -EINVAL;
}

static int set_text(char **where, const char *text)
{
    free(*where);
    *where = strdup(text);
    return *where ? 0 : -ENOMEM;
}

/* 256M, 1G, 4096K or a number of bytes. */
static int set_size(size_t *where, const char *text)
{
    char *end = NULL;
    errno = 0;
    uintmax_t value = *text >= '0' && *text <= '9' ? strtoumax(text, &end, 10) : 0;
    if (value == 0 || errno)
        return complain("bad size: ", text);
    static const char units[] = "KMG";
    const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if ((*end && (!unit || end[1])) || value > (SIZE_MAX / 2) >> shift)
        return complain("bad size: ", text);
    *where = (size_t)value << shift;
    return 0;
}

static int pass_on(struct isrfs_options *o, const char *name)
{
    char *all;
    if (asprintf(&all, "%s%s%s", o->mount ? o->mount : "", o->mount ? "," : "", name) < 0)
        return -ENOMEM;
    free(o->mount);
    o->mount = all;
    return 0;
}

static int apply(struct isrfs_options *o, enum kind kind, const char *name, const char *value)
{
    switch (kind) {
    case READ_ONLY:
    case READ_WRITE:
        o->read_only = kind == READ_ONLY;
        return 0;
    case ALLOW_OTHER:
        o->allow_other = true;
        return 0;
    case NO_CHECKIN:
        o->no_checkin = true;
        return 0;
    case LOCKSRV:
        return set_text(&o->locksrv, value);
    case USER:
        return set_text(&o->user, value);
    case HOME_WAIT:
        o->home_wait = true;
        return home_read_wait(value, &o->home_wait_ms) == 0 ? 0 : complain("bad time: ", value);
    case CACHE:
        return set_size(&o->cache_bytes, value);
    case PASSED:
        return pass_on(o, name);
    case IGNORED:
    default:
        return 0;
    }
}

static int take_option(struct isrfs_options *o, char *option)
{
    if (!*option || strncmp(option, "x-", 2) == 0)
        return 0;
    char *value = strchr(option, '=');
    if (value)
        *value++ = '\0';
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(option, known[i].name) == 0 && known[i].has_value == (value != NULL))
            return value && !*value ? complain("this mount option is empty: ", option)
                                    : apply(o, known[i].kind, option, value);
    return complain(value ? "there is no such mount option with a value: "
                          : "there is no such mount option: ",
                    option);
}

/* Options are separated by commas; "\," is a comma and "\\" a backslash within one. */
static int take_list(struct isrfs_options *o, const char *list)
{
    CLEANUP_FREE char *copy = strdup(list);
    if (!copy)
        return -ENOMEM;
    char *option = copy, *to = copy;
    for (const char *from = copy;; from++) {
        if (*from == '\\' && (from[1] == ',' || from[1] == '\\')) {
            *to++ = *++from;
            continue;
        }
        bool last = !*from;
        if (!last && *from != ',') {
            *to++ = *from;
            continue;
        }
        *to++ = '\0';
        int r = take_option(o, option);
        if (r < 0 || last)
            return r;
        option = to;
    }
}

static int take_words(struct isrfs_options *o, char **words, int count)
{
    if (count < 2)
        return complain(count == 0 ? "which parcel, and where?" : "mount it where?", "");
    if (count > 2)
        return complain("too many arguments: ", words[2]);
    o->source = words[0];
    o->dir = words[1];
    return *o->source && *o->dir ? 0 : complain("an argument is empty", "");
}

int isrfs_options_parse(int argc, char **argv, struct isrfs_options *ret)
{
    static const struct option longs[] = {{"foreground", no_argument, NULL, 'f'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'V'},
                                          {0}};
    *ret = (struct isrfs_options){0};
    opterr = 0;
    int code, r = 0;
    while (r == 0 && (code = getopt_long(argc, argv, ":fho:V", longs, NULL)) != -1) {
        const char *word = argv[optind - 1];
        if (code == 'f') {
            ret->foreground = true;
        } else if (code == 'o') {
            r = take_list(ret, optarg);
        } else if (code == 'h') {
            help();
            return 1;
        } else if (code == 'V') {
            printf("isrfs %s\n", ISRFS_VERSION);
            return 1;
        } else {
            r = complain(code == ':' ? "this option needs a value: " : "there is no such option: ",
                         word);
        }
    }
    return r < 0 ? r : take_words(ret, argv + optind, argc - optind);
}

void isrfs_options_free(struct isrfs_options *o)
{
    free(o->locksrv);
    free(o->user);
    free(o->mount);
    *o = (struct isrfs_options){0};
}
