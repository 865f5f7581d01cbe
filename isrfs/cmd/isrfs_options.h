/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The arguments of isrfs. */
#ifndef ISRFS_CMD_ISRFS_OPTIONS_H
#define ISRFS_CMD_ISRFS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct isrfs_options {
    const char *source; /* from argv, as the next */
    const char *dir;
    bool foreground;
    bool read_only; /* -o ro */
    bool allow_other;
    bool no_checkin;    /* -o noci */
    char *locksrv;      /* NULL: not given */
    char *user;         /* NULL: not given */
    size_t cache_bytes; /* 0: not given */
    bool home_wait;     /* given, */
    unsigned home_wait_ms;
    char *mount; /* for the mount itself: "noexec,..."; NULL: none */
};

/* Prints how the program is called, on standard error. */
void isrfs_options_usage(void);

/* Reads ARGV. 0: go on. 1: the work is done (--help, --version). -EINVAL: said on standard error
 * what is wrong, with the usage. -ENOMEM. */
int isrfs_options_parse(int argc, char **argv, struct isrfs_options *ret);
void isrfs_options_free(struct isrfs_options *o);

#endif
