/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The state folder is resolved once; from then on everything is relative to its descriptor. It is
 * trusted (keys and settings are read from it), so nobody else may be able to change it or put
 * another in its place: that is what check_folders looks at, up to the root.
 *
 * Where a parcel's state lies: parcels/<server>/<parcel>. <server> is made of the lock server and
 * the user there, because two users may each have a parcel of one name. A folder's path does not
 * fit into a file name, so its hash stands there, and the file `.server` beside the parcels says
 * what it was. */
#include "isrfs/sync/site.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/io.h"
#include "isrfs/base/log.h"

#define PARCELS     "parcels"
#define SERVER_FILE ".server" /* no parcel has such a name */

static const char *const conf_keys[] = {
    "LOCKSRV",       "USER",     "COMPRESSION",  "COMPRESSION_LEVEL", "PADDING",
    "CACHE_SIZE",    "QEMU",     "QEMU_ACCEL",   "QEMU_ARGS",         "QEMU_NET",
    "QEMU_POWEROFF", "VMM",      "EVENTS",       "SSH_COMMAND",       "SSH_DIR",
    "SSH_TIMEOUT",   "LOG_SIZE", "HOME_TIMEOUT", "HOME_WAIT",         NULL};

/* --- opening --- */

/* Logs what is wrong with a path. Returns R. */
static int refuse(const char *path, const char *why, int r)
{
    char name[256];
    log_error("%s: %s", log_clean(name, sizeof name, path), why);
    return r;
}

static int find_account(struct site *s, char **ret_path)
{
    const struct passwd *pw = getpwuid(geteuid());
    if (!pw) {
        log_error("this account (uid %u) is not in the password database", (unsigned)geteuid());
        return -ENOENT;
    }
    s->user = strdup(pw->pw_name);
    const char *named = getenv("ISR_HOME");
    if (named && *named)
        *ret_path = strdup(named);
    else if (asprintf(ret_path, "%s/.isr", pw->pw_dir) < 0)
        *ret_path = NULL;
    return s->user && *ret_path ? 0 : -ENOMEM;
}

/* A world-writable folder with the sticky bit, such as /tmp, lets nobody rename what is ours. */
static bool others_may_write(const struct stat *st, bool is_parent)
{
    return (st->st_mode & (S_IWGRP | S_IWOTH)) && !(is_parent && (st->st_mode & S_ISVTX));
}

static int check_folders(const char *path)
{
    CLEANUP_FREE char *at = strdup(path);
    if (!at)
        return -ENOMEM;
    for (bool is_parent = false;; is_parent = true) {
        struct stat st;
        const char *folder = *at ? at : "/";
        if (lstat(folder, &st) < 0)
            return refuse(folder, strerror(errno), -errno);
        if (!S_ISDIR(st.st_mode))
            return refuse(folder, "not a folder", -ENOTDIR);
        if (st.st_uid != geteuid() && st.st_uid != 0)
            return refuse(folder, "belongs to another user; isr keeps no keys there", -EPERM);
        if (others_may_write(&st, is_parent))
            return refuse(folder, "others may write there (chmod go-w), so isr keeps no keys there",
                          -EPERM);
        if (!*at)
            return 0;
        *strrchr(at, '/') = '\0';
    }
}

static int open_folder(struct site *s, const char *path)
{
    int r = io_mkdir(AT_FDCWD, path, 0700);
    if (r < 0 && r != -EEXIST)
        return refuse(path, strerror(-r), r);
    s->home = realpath(path, NULL);
    if (!s->home)
        return refuse(path, strerror(errno), -errno);
    r = check_folders(s->home);
    if (r < 0)
        return r;
    s->fd = open(s->home, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return s->fd < 0 ? refuse(s->home, strerror(errno), -errno) : 0;
}

static int name_site(struct site *s)
{
    char host[256] = "localhost";
    if (gethostname(host, sizeof host - 1) < 0 || !*host)
        strcpy(host, "localhost");
    if (asprintf(&s->name, "%s@%s:%s", s->user, host, s->home) < 0) {
        s->name = NULL;
        return -ENOMEM;
    }
    return 0;
}

static int read_conf(struct site *s)
{
    CLEANUP_BUFFER struct buffer text = {0};
    int r = io_read_file(s->fd, "isr.conf", KEYVALUE_TEXT_MAX, &text);
    if (r == -ENOENT) {
        s->conf = keyvalue_new();
        return s->conf ? 0 : -ENOMEM;
    }
    const char *reason = strerror(-r);
    r = r < 0 ? r : keyvalue_parse(text.data, text.size, conf_keys, &s->conf, &reason);
    if (r < 0 && r != -ENOMEM) {
        char name[256];
        log_error("%s/isr.conf: %s", log_clean(name, sizeof name, s->home), reason);
    }
    return r;
}

int site_open(struct site **ret)
{
    CLEANUP_SITE struct site *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->fd = -1;
    CLEANUP_FREE char *path = NULL;
    int r = find_account(s, &path);
    r = r < 0 ? r : open_folder(s, path);
    r = r < 0 ? r : name_site(s);
    r = r < 0 ? r : read_conf(s);
    if (r == -ENOMEM)
        log_error("out of memory");
    if (r < 0)
        return r;
    *ret = steal_ptr(s);
    return 0;
}

void site_close(struct site *s)
{
    if (!s)
        return;
    cleanup_close(&s->fd);
    free(s->home);
    free(s->name);
    free(s->user);
    keyvalue_free(s->conf);
    free(s);
}

/* --- paths --- */

int site_resolve(const char *path, char **ret)
{
    *ret = realpath(path, NULL);
    if (*ret || (errno != ENOENT && errno != ENOTCONN)) /* ENOTCONN: a mount without its daemon */
        return *ret ? 0 : -errno;
    CLEANUP_FREE char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    size_t end = strlen(copy);
    while (end > 1 && copy[end - 1] == '/')
        copy[--end] = '\0';
    char *slash = strrchr(copy, '/');
    const char *name = slash ? slash + 1 : copy;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -ENOENT;
    CLEANUP_FREE char *last = strdup(name);
    if (slash)
        slash[slash == copy] = '\0';
    CLEANUP_FREE char *parent = realpath(slash ? copy : ".", NULL);
    if (!parent || !last)
        return parent ? -ENOMEM : -errno;
    if (asprintf(ret, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, last) < 0) {
        *ret = NULL;
        return -ENOMEM;
    }
    return 0;
}

/* --- settings --- */

const char *site_setting(const struct site *s, const char *key, const char *fallback)
{
    const char *value = keyvalue_get(s->conf, key);
    return value && *value ? value : fallback;
}

/* The value's place in CHOICES (which end with NULL), or -EINVAL (logged). */
static int choose(const struct site *s, const char *key, const char *const *choices)
{
    const char *value = site_setting(s, key, choices[0]);
    for (int i = 0; choices[i]; i++)
        if (strcmp(value, choices[i]) == 0)
            return i;
    char name[64];
    log_error("isr.conf: %s cannot be '%s'", key, log_clean(name, sizeof name, value));
    return -EINVAL;
}

int site_codec_settings(const struct site *s, struct codec_settings *ret)
{
    static const char *const methods[] = {"zstd", "zlib", "none", NULL};
    static const enum codec_method codes[] = {CODEC_ZSTD, CODEC_ZLIB, CODEC_STORED};
    static const char *const pads[] = {"none", "padme", NULL};
    int method = choose(s, "COMPRESSION", methods);
    int pad = method < 0 ? method : choose(s, "PADDING", pads);
    if (pad < 0)
        return pad;
    uint64_t level = 0;
    int r = keyvalue_get_u64(s->conf, "COMPRESSION_LEVEL", &level);
    if ((r < 0 && r != -ENOENT) || level > 100) {
        log_error("isr.conf: COMPRESSION_LEVEL must be a small number");
        return -EINVAL;
    }
    ret->method = codes[method];
    ret->level = (int)level;
    ret->pad = pad == 0 ? CODEC_PAD_NONE : CODEC_PAD_PADME;
    return 0;
}

/* --- where a parcel's state lies --- */

/* One part of a path for this server and user: letters, digits and [._@-]. NULL: no memory. */
static char *server_folder(const struct source *source)
{
    char *name = NULL;
    if (source->server[0] == '/') {
        CLEANUP_FREE char *text = NULL;
        if (asprintf(&text, "%s\n%s", source->user, source->server) < 0) {
            text = NULL;
            return NULL;
        }
        unsigned char digest[32];
        char hex[17];
        if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
            return NULL;
        hex_encode(hex, digest, 8);
        return asprintf(&name, "folder-%s", hex) < 0 ? NULL : name;
    }
    const char *host = source->server + strlen("ssh://");
    const char *at = strchr(host, '@');
    if (asprintf(&name, "%s@%s", source->user, at ? at + 1 : host) < 0)
        return NULL;
    for (char *p = name; *p; p++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@-", *p))
            *p = '_';
    return name;
}

char *site_parcel_path(const struct site *s, const struct source *source)
{
    CLEANUP_FREE char *server = server_folder(source);
    char *path = NULL;
    if (!server || asprintf(&path, "%s/" PARCELS "/%s/%s", s->home, server, source->parcel) < 0)
        return NULL;
    return path;
}

static int write_note(const char *path, const struct source *source)
{
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    CLEANUP_FREE char *server = percent_encode(source->server);
    CLEANUP_BUFFER struct buffer text = {0};
    if (!kv || !server)
        return -ENOMEM;
    int r = keyvalue_set(kv, "SERVER", server);
    r = r < 0 ? r : keyvalue_set(kv, "USER", source->user);
    r = r < 0 ? r : keyvalue_format(kv, &text);
    return r < 0 ? r : io_update(AT_FDCWD, path, text.data, text.size, 0600);
}

/* Whatever is flushed in the parcel's folder would be lost with a name above it: those of the
 * folder itself, of the server's, of PARCELS and of the state folder. Also if they were there: who
 * made them may have been killed before this. */
static int flush_names(const struct site *s, const char *path)
{
    CLEANUP_CLOSE int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int r = dir < 0 ? -errno : io_fsync_dir(dir, "..");
    r = r < 0 ? r : io_fsync_dir(dir, "../..");
    r = r < 0 ? r : io_fsync_dir(s->fd, ".");
    if (r < 0)
        return r;
    r = io_fsync_dir(s->fd, "..");
    return r == -EACCES || r == -EINVAL ? 0 : r; /* not ours to flush, or it need not be */
}

int site_make_parcel_folder(const struct site *s, const struct source *source)
{
    CLEANUP_FREE char *path = site_parcel_path(s, source);
    CLEANUP_FREE char *note = NULL;
    if (!path)
        return -ENOMEM;
    int folder = (int)(strrchr(path, '/') - path);
    if (asprintf(&note, "%.*s/" SERVER_FILE, folder, path) < 0) {
        note = NULL;
        return -ENOMEM;
    }
    int r = io_mkdir_parents(AT_FDCWD, path, 0700);
    if (r == 0 && faccessat(AT_FDCWD, note, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        r = write_note(note, source);
    return r < 0 ? r : flush_names(s, path);
}

struct each {
    const struct site *site;
    char *folder; /* parcels/<server> */
    struct source source;
    int (*fn)(void *ctx, const struct source *source);
    void *ctx;
};

static int read_note(struct each *e)
{
    static const char *const keys[] = {"SERVER", "USER", NULL};
    CLEANUP_FREE char *path = NULL;
    if (asprintf(&path, "%s/" SERVER_FILE, e->folder) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    CLEANUP_BUFFER struct buffer text = {0};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    int r = io_read_file(e->site->fd, path, KEYVALUE_TEXT_MAX, &text);
    const char *reason = strerror(-r);
    r = r < 0 ? r : keyvalue_parse(text.data, text.size, keys, &kv, &reason);
    const char *server = kv ? keyvalue_get(kv, "SERVER") : NULL;
    const char *user = kv ? keyvalue_get(kv, "USER") : NULL;
    if (r == 0 && server && user) {
        r = percent_decode(server, &e->source.server);
        e->source.user = strdup(user);
        return r < 0 ? r : e->source.user ? 0 : -ENOMEM;
    }
    log_warning("%s does not say which lock server it stands for: %s", path,
                r < 0 ? reason : "incomplete");
    return r < 0 ? r : -EBADMSG;
}

static int each_parcel(void *ctx, const char *name)
{
    struct each *e = ctx;
    CLEANUP_FREE char *path = NULL;
    struct stat st;
    if (asprintf(&path, "%s/%s", e->folder, name) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    if (fstatat(e->site->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
        return 0;
    struct source source = {e->source.server, e->source.user, (char *)name, 0};
    return e->fn(e->ctx, &source);
}

static int each_server(void *ctx, const char *name)
{
    const struct each *all = ctx;
    struct each e = {.site = all->site, .fn = all->fn, .ctx = all->ctx};
    CLEANUP_FREE char *folder = NULL;
    struct stat st;
    if (asprintf(&folder, PARCELS "/%s", name) < 0) {
        folder = NULL;
        return -ENOMEM;
    }
    if (fstatat(e.site->fd, folder, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
        return 0;
    e.folder = folder;
    int r = read_note(&e);
    if (r == 0)
        r = io_each_name(e.site->fd, folder, each_parcel, &e);
    else if (r != -ENOMEM)
        r = 0; /* one damaged note does not hide the others */
    source_free(&e.source);
    return r;
}

int site_each_parcel(const struct site *s, int (*fn)(void *ctx, const struct source *source),
                     void *ctx)
{
    struct each all = {.site = s, .fn = fn, .ctx = ctx};
    int r = io_each_name(s->fd, PARCELS, each_server, &all);
    return r == -ENOENT ? 0 : r;
}
