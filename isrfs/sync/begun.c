/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A note is the file begun/<uuid> in the state folder, flocked by whoever works on that parcel. One
 * that nobody works on is of a command that was killed, or that got no answer from the lock server.
 * If the lock server has the parcel, all is well; else its request may still be on its way there,
 * so the record stays for an hour. Then it is removed, if it is the only one of that uuid: a parcel
 * with others has lived, whatever this lock server says. */
#include "isrfs/sync/begun.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "lockclient/lockclient.h"

#define FOLDER     "begun"
#define NOTE_LIMIT 8192u
#define LATE       3600 /* seconds that a request may take to arrive */

struct begun {
    int folder, note; /* descriptors; the second holds the lock */
    char uuid[LOCKCLIENT_UUID_SIZE];
};

/* --- one's own --- */

static int format(const struct begun_parcel *p, struct buffer *out)
{
    char hex[OBJECT_ID_HEX + 1];
    object_id_to_hex(p->catalog, hex);
    CLEANUP_FREE char *server = percent_encode(p->source->server), *src = percent_encode(p->src);
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    if (!server || !src || !kv)
        return -ENOMEM;
    int r = keyvalue_set(kv, "SERVER", server);
    r = r < 0 ? r : keyvalue_set(kv, "USER", p->source->user);
    r = r < 0 ? r : keyvalue_set(kv, "PARCEL", p->parcel);
    r = r < 0 ? r : keyvalue_set(kv, "SRC", src);
    r = r < 0 ? r : keyvalue_set(kv, "CATALOG", hex);
    r = r < 0 ? r : keyvalue_set_u64(kv, "TIME", (uint64_t)time(NULL));
    return r < 0 ? r : keyvalue_format(kv, out);
}

int begun_note(const struct site *site, const struct begun_parcel *parcel, struct begun **ret)
{
    CLEANUP_BUFFER struct buffer text = {0};
    CLEANUP_BEGUN struct begun *b = calloc(1, sizeof *b);
    if (!b)
        return -ENOMEM;
    b->folder = b->note = -1;
    if (strlen(parcel->uuid) >= sizeof b->uuid)
        return -EINVAL;
    memcpy(b->uuid, parcel->uuid, strlen(parcel->uuid) + 1);
    int r = format(parcel, &text);
    r = r < 0 ? r : io_mkdir(site->fd, FOLDER, 0700);
    if (r < 0 && r != -EEXIST)
        return r;
    r = io_fsync_dir(site->fd, ".");
    if (r < 0)
        return r;
    b->folder = openat(site->fd, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (b->folder < 0)
        return -errno;
    /* The lock is had before the note has anything in it, which is when others look at it. */
    b->note = io_create(b->folder, b->uuid, 0, 0600);
    if (b->note < 0)
        return b->note;
    r = flock(b->note, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
    r = r < 0 ? r : io_write(b->note, text.data, text.size);
    r = r < 0 ? r : io_fsync(b->note);
    r = r < 0 ? r : io_fsync_dir(b->folder, ".");
    if (r < 0)
        io_unlink(b->folder, b->uuid);
    else
        *ret = steal_ptr(b);
    return r;
}

void begun_end(struct begun *b)
{
    int r = io_unlink(b->folder, b->uuid);
    if (r < 0)
        log_warning("cannot remove " FOLDER "/%s: %s", b->uuid, strerror(-r));
    begun_free(b);
}

void begun_free(struct begun *b)
{
    if (!b)
        return;
    cleanup_close(&b->note);
    cleanup_close(&b->folder);
    free(b);
}

/* --- those of before --- */

struct clearing {
    const struct source *source;
    struct lockclient *client;
    const char *src;
    struct store *home;
    int folder;
};

struct note {
    const char *parcel; /* in the key values */
    struct object_id catalog;
    uint64_t time;
};

/* -EBADMSG for one that its writer was killed over, -EXDEV for another lock server's or home's. */
static int read_note(const struct clearing *k, const char *uuid, struct keyvalue **ret_kv,
                     struct note *ret)
{
    static const char *const keys[] = {"SERVER", "USER", "PARCEL", "SRC", "CATALOG", "TIME", NULL};
    CLEANUP_BUFFER struct buffer text = {0};
    CLEANUP_FREE char *server = NULL, *src = NULL;
    int r = io_read_file(k->folder, uuid, NOTE_LIMIT, &text);
    r = r < 0 ? r : keyvalue_parse(text.data, text.size, keys, ret_kv, NULL);
    if (r < 0)
        return r;
    const char *user = keyvalue_get(*ret_kv, "USER"), *catalog = keyvalue_get(*ret_kv, "CATALOG");
    const char *encoded_server = keyvalue_get(*ret_kv, "SERVER");
    const char *encoded_src = keyvalue_get(*ret_kv, "SRC");
    ret->parcel = keyvalue_get(*ret_kv, "PARCEL");
    if (!user || !catalog || !encoded_server || !encoded_src || !ret->parcel ||
        !lockclient_name_valid(ret->parcel) ||
        hex_decode(ret->catalog.bytes, sizeof ret->catalog.bytes, catalog) < 0 ||
        keyvalue_get_u64(*ret_kv, "TIME", &ret->time) < 0)
        return -EBADMSG;
    r = percent_decode(encoded_server, &server);
    r = r < 0 ? r : percent_decode(encoded_src, &src);
    if (r < 0)
        return r;
    bool ours = strcmp(server, k->source->server) == 0 && strcmp(user, k->source->user) == 0 &&
                strcmp(src, k->src) == 0;
    return ours ? 0 : -EXDEV;
}

/* Is the time so long ago that whatever was sent then has arrived? */
static bool is_past(uint64_t then)
{
    uint64_t now = (uint64_t)time(NULL);
    return now > then && now - then > LATE;
}

struct records {
    const struct object_id *catalog;
    bool noted, others;
};

static int look(void *ctx, const char *name)
{
    struct records *found = ctx;
    uint64_t number;
    struct object_id catalog;
    if (version_name_parse(name, &number, &catalog) && number == 1 &&
        object_id_equal(&catalog, found->catalog))
        found->noted = true;
    else
        found->others = true;
    return 0;
}

/* Is there nothing left to be done? */
static bool remove_record(const struct clearing *k, const char *uuid, const struct note *note)
{
    char folder[64];
    struct records found = {.catalog = &note->catalog};
    snprintf(folder, sizeof folder, "versions/%s", uuid);
    int r = store_each_record(k->home, folder, look, &found);
    if (r == 0 && found.noted && !found.others) {
        r = version_remove(k->home, uuid, 1, &note->catalog);
        r = r < 0 ? r : store_barrier(k->home);
        if (r == 0)
            log_info(
                "%s was begun at this site and never came to be: its record at home is removed",
                note->parcel);
    }
    return r == 0;
}

static bool is_old(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && is_past((uint64_t)st.st_mtim.tv_sec);
}

static int clear_one(void *ctx, const char *uuid)
{
    const struct clearing *k = ctx;
    uint8_t bytes[(LOCKCLIENT_UUID_SIZE - 1) / 2];
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    struct note note;
    if (hex_decode(bytes, sizeof bytes, uuid) < 0)
        return 0;
    CLEANUP_CLOSE int fd = io_open_read(k->folder, uuid);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return 0;
    int r = read_note(k, uuid, &kv, &note);
    if (r == -EBADMSG && is_old(fd)) /* nothing was put at home yet */
        io_unlink(k->folder, uuid);
    if (r < 0)
        return 0;
    struct lockclient_parcel_cfg cfg;
    r = lockclient_parcel_cfg(k->client, note.parcel, &cfg, NULL);
    if (r < 0 && r != -ENOENT)
        return r;
    bool is_there = r == 0 && strcmp(cfg.uuid, uuid) == 0;
    if (is_there || (is_past(note.time) && remove_record(k, uuid, &note)))
        io_unlink(k->folder, uuid);
    return 0;
}

void begun_clear(const struct site *site, const struct source *source, struct lockclient *client,
                 const char *src, struct store *home)
{
    CLEANUP_CLOSE int folder =
        openat(site->fd, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct clearing k = {
        .source = source, .client = client, .src = src, .home = home, .folder = folder};
    if (folder >= 0 && home)
        io_each_name(folder, ".", clear_one, &k);
}
