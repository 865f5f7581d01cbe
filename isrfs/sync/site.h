/* SPDX-License-Identifier: GPL-3.0-or-later */
/* This site: the state folder (~/.isr or ISR_HOME), its settings, and where each parcel's state
 * lies (DESIGN 6). Nothing here talks to a lock server. One thread at a time. */
#ifndef ISRFS_SYNC_SITE_H
#define ISRFS_SYNC_SITE_H

#include <stdbool.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/keyvalue.h"
#include "isrfs/codec/codec.h"

struct site {
    char *home;            /* absolute, resolved path of the state folder */
    int fd;                /* of that folder */
    char *name;            /* "user@host:/path", who we are to a lock server */
    char *user;            /* this account's name */
    struct keyvalue *conf; /* isr.conf */
};

/* Opens the state folder, making it when it is missing. One line is logged for what is refused: a
 * folder (or a parent) that others may write, a bad isr.conf. 0 or negative errno. */
int site_open(struct site **ret);
void site_close(struct site *s);

static inline void cleanup_site(struct site **s)
{
    site_close(*s);
}
#define CLEANUP_SITE CLEANUP(cleanup_site)

/* PATH made absolute, without symlinks and dots, so that one place has one name. Its last part need
 * not exist. The caller's. 0 or negative errno. */
int site_resolve(const char *path, char **ret);

/* A setting of isr.conf, or FALLBACK. */
const char *site_setting(const struct site *s, const char *key, const char *fallback);

/* COMPRESSION (none, zlib, zstd), COMPRESSION_LEVEL, PADDING (none, padme). -EINVAL (logged). */
int site_codec_settings(const struct site *s, struct codec_settings *ret);

/* What SOURCE, --locksrv, --user and --parcel come to. All strings are the caller's to free. */
struct source {
    char *server;     /* a folder (absolute) or ssh://[user@]host[:port] */
    char *user;       /* the user at the lock server */
    char *parcel;     /* its name */
    uint64_t version; /* of PARCEL@VERSION; 0: the newest, to be checked out */
};

/* Reads PARCEL, [ssh://][user@]host[:port]:PARCEL, /folder:PARCEL, each with an optional @VERSION.
 * LOCKSRV and USER (NULL: not given) come from options; else ISR_LOCKSRV, isr.conf (LOCKSRV), and
 * ~/.isr/locksrv; ISR_USER, isr.conf (USER), the URL's user, and this account. -EINVAL (logged). */
int source_parse(const struct site *s, const char *text, const char *locksrv, const char *user,
                 struct source *ret);
/* Likewise, for what concerns no single parcel: `parcel` is NULL then. */
int source_parse_server(const struct site *s, const char *locksrv, const char *user,
                        struct source *ret);
void source_free(struct source *source);
#define CLEANUP_SOURCE CLEANUP(source_free)

/* SOURCE in the form that source_parse reads: "server:parcel" or "server:parcel@version". The
 * user is not in it, unless the server is ssh://user@... The caller's, or NULL. */
char *source_text(const struct source *source);

/* The absolute path of this parcel's state folder, <home>/parcels/<server>/<parcel>. The caller's,
 * or NULL. */
char *site_parcel_path(const struct site *s, const struct source *source);

/* Makes that folder and what is above it, with the note of the lock server by which
 * site_each_parcel finds it again. 0 or negative errno. */
int site_make_parcel_folder(const struct site *s, const struct source *source);

/* Calls FN with the source of each parcel that has state at this site. */
int site_each_parcel(const struct site *s, int (*fn)(void *ctx, const struct source *source),
                     void *ctx);

#endif
