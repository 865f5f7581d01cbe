/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file: UUID, NUMBER, CATALOG and EPOCH of the highest version; FORMER, the uuids that the
 * parcel of this name had before (it was removed and made anew, or rekeyed), the newest first: to
 * return to one of them is to return to an older state.
 *
 * A restored backup shows by its epoch. That proves nothing (who controls the lock server can raise
 * it), so it changes what is said and not what is done: a lower number stops either way, and a
 * person decides.
 *
 * At home, a version record that the recovery key opens proves that a site has written that
 * version. One number above the lock server's may be a check-in that was cut off before it was
 * published, and is only said; two are a version that the lock server has lost or hides. A record
 * that does not open is no proof of anything and is only said.
 *
 * Only a version whose keyroot is known to be good (by its record at home, or by its catalog) is
 * remembered: a mistake of the lock server must not be held against it for ever. */
#include "isrfs/sync/seen.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/parcel/catalog.h"

#define SEEN_FILE      "seen"
#define FORMER_MAX     16u
#define CANDIDATES_MAX 32u
#define RECORD_SIZE    96u /* a record's name */

struct seen {
    char uuid[LOCKCLIENT_UUID_SIZE];
    uint64_t number, epoch;
    struct object_id catalog;
    char former[FORMER_MAX * LOCKCLIENT_UUID_SIZE + 1]; /* a comma between each two */
};

/* --- the file --- */

static int parse(const struct buffer *text, struct seen *s)
{
    static const char *const allowed[] = {"UUID", "NUMBER", "CATALOG", "EPOCH", "FORMER", NULL};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    uint8_t bytes[(LOCKCLIENT_UUID_SIZE - 1) / 2];
    int r = keyvalue_parse(text->data, text->size, allowed, &kv, NULL);
    if (r < 0)
        return r;
    const char *uuid = keyvalue_get(kv, "UUID"), *catalog = keyvalue_get(kv, "CATALOG");
    const char *former = keyvalue_get(kv, "FORMER");
    if (!uuid || hex_decode(bytes, sizeof bytes, uuid) < 0 || !catalog ||
        hex_decode(s->catalog.bytes, sizeof s->catalog.bytes, catalog) < 0 ||
        keyvalue_get_u64(kv, "NUMBER", &s->number) < 0 ||
        keyvalue_get_u64(kv, "EPOCH", &s->epoch) < 0 ||
        (former && strlen(former) >= sizeof s->former))
        return -EBADMSG;
    memcpy(s->uuid, uuid, sizeof s->uuid);
    if (former)
        strcpy(s->former, former);
    return 0;
}

/* All zero if there is none. */
static void read_seen(int dirfd, const char *parcel, struct seen *s)
{
    CLEANUP_BUFFER struct buffer text = {0};
    memset(s, 0, sizeof *s);
    int r = io_read_file(dirfd, SEEN_FILE, KEYVALUE_TEXT_MAX, &text);
    if (r == -ENOENT)
        return;
    r = r < 0 ? r : parse(&text, s);
    if (r == 0)
        return;
    memset(s, 0, sizeof *s);
    log_warning("%s: what this site has seen of it before cannot be read: %s", parcel,
                strerror(-r));
}

static int write_seen(int dirfd, const struct seen *s)
{
    char hex[OBJECT_ID_HEX + 1];
    object_id_to_hex(&s->catalog, hex);
    CLEANUP_BUFFER struct buffer text = {0};
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    if (!kv)
        return -ENOMEM;
    int r = keyvalue_set(kv, "UUID", s->uuid);
    r = r < 0 ? r : keyvalue_set_u64(kv, "NUMBER", s->number);
    r = r < 0 ? r : keyvalue_set(kv, "CATALOG", hex);
    r = r < 0 ? r : keyvalue_set_u64(kv, "EPOCH", s->epoch);
    if (r == 0 && *s->former)
        r = keyvalue_set(kv, "FORMER", s->former);
    r = r < 0 ? r : keyvalue_format(kv, &text);
    return r < 0 ? r : io_replace(dirfd, SEEN_FILE, text.data, text.size, 0600, true);
}

/* What is to be remembered after OLD. */
static struct seen next_seen(const struct seen *old, const char *uuid, uint64_t number,
                             const struct object_id *catalog, uint64_t epoch)
{
    struct seen s = {.number = number, .epoch = epoch, .catalog = *catalog};
    memcpy(s.uuid, uuid, sizeof s.uuid);
    if (!*old->uuid || strcmp(old->uuid, uuid) == 0)
        memcpy(s.former, old->former, sizeof s.former);
    else
        snprintf(s.former, sizeof s.former, "%s%s%.*s", old->uuid, *old->former ? "," : "",
                 (int)((FORMER_MAX - 1) * LOCKCLIENT_UUID_SIZE - 1), old->former);
    return s;
}

static bool same_seen(const struct seen *a, const struct seen *b)
{
    return a->number == b->number && a->epoch == b->epoch && strcmp(a->uuid, b->uuid) == 0 &&
           object_id_equal(&a->catalog, &b->catalog);
}

static int remember(struct checkout *c, const struct seen *old, const struct seen *s)
{
    return same_seen(old, s) ? 0 : write_seen(c->state_fd, s);
}

/* --- what this site has seen --- */

/* What is wrong, as a part of a sentence in OUT. False: nothing. */
static bool is_older(const struct seen *s, const struct checkout *c, char *out, size_t room)
{
    if (!*s->uuid)
        return false;
    if (strcmp(s->uuid, c->uuid) != 0) {
        if (!strstr(s->former, c->uuid))
            return false;
        snprintf(out, room, "the lock server offers a state from before it was made anew");
        return true;
    }
    if (c->base_version < s->number)
        snprintf(out, room,
                 "the lock server names version %" PRIu64
                 " as the newest, but this site has seen version %" PRIu64,
                 c->base_version, s->number);
    else if (c->base_version == s->number && !object_id_equal(&c->base.id, &s->catalog))
        snprintf(out, room,
                 "the lock server names another version %" PRIu64 " than this site has seen",
                 c->base_version);
    else
        return false;
    return true;
}

static int stop(const struct checkout *c, bool restored, bool accept, const char *what,
                struct failure *failure)
{
    const char *name = c->source.parcel;
    if (accept) {
        log_warning("%s: %s; going on all the same", name, what);
        return 0;
    }
    return failure_set(
        failure, OUTCOME_DAMAGED,
        "%s: %s%s (to go on with what the lock server has: isr co --accept-older %s)", name, what,
        restored ? "; it was restored from a backup since" : "", name);
}

/* --- the records at home --- */

struct look {
    const struct checkout *c;
    char names[CANDIDATES_MAX][RECORD_SIZE]; /* of this version and later ones */
    size_t count;
    bool own;           /* the record of the version that the lock server names is there, */
    bool own_sealed;    /* and has the keyroot that it gave */
    bool other;         /* one of the same number and another catalog */
    uint64_t next_only; /* one number more: that number */
    uint64_t later;     /* the highest after that */
};

static int collect(void *ctx, const char *name)
{
    struct look *l = ctx;
    uint64_t number;
    struct object_id catalog;
    if (!version_name_parse(name, &number, &catalog) || number < l->c->base_version ||
        strlen(name) >= RECORD_SIZE || l->count == CANDIDATES_MAX)
        return 0;
    memcpy(l->names[l->count++], name, strlen(name) + 1);
    return 0;
}

static void weigh(struct look *l, const char *name)
{
    const struct checkout *c = l->c;
    struct version v;
    int r = version_get(c->home, c->uuid, name, &v);
    if (r == 0 && c->has_recovery)
        r = version_open(c->home, &v, c->recovery);
    bool same_key = secret_equal(&v.catalog.key, &c->base.key, sizeof v.catalog.key);
    secret_wipe(&v.catalog.key, sizeof v.catalog.key);
    if (v.number == c->base_version && object_id_equal(&v.catalog.id, &c->base.id)) {
        l->own = true;
        l->own_sealed = r == 0 && (same_key || !c->has_recovery);
    } else if (r < 0) {
        log_warning("%s: the record %s at home is damaged, or not sealed with this user's recovery "
                    "key",
                    c->source.parcel, name);
    } else if (v.number == c->base_version) {
        l->other = true;
    } else if (v.number == c->base_version + 1) {
        l->next_only = v.number;
    } else if (v.number > l->later) {
        l->later = v.number;
    }
}

static int check_home(struct checkout *c, bool restored, bool accept, bool *ret_verified,
                      struct failure *failure)
{
    char folder[64], what[160] = "";
    CLEANUP_FREE struct look *l = calloc(1, sizeof *l);
    if (!l)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    l->c = c;
    snprintf(folder, sizeof folder, "versions/%s", c->uuid);
    int r = store_each_record(c->home, folder, collect, l);
    if (r < 0)
        return failure_set(failure, OUTCOME_UNREACHABLE,
                           "the version records at the home of %s cannot be read: %s",
                           c->source.parcel, strerror(-r));
    for (size_t i = 0; i < l->count; i++)
        weigh(l, l->names[i]);
    if (l->later)
        snprintf(what, sizeof what,
                 "the lock server names version %" PRIu64
                 " as the newest, but its home has version %" PRIu64,
                 c->base_version, l->later);
    else if (l->other && !l->own)
        snprintf(what, sizeof what,
                 "the lock server names another version %" PRIu64 " than its home has",
                 c->base_version);
    else if (l->next_only)
        log_warning("%s: its home has version %" PRIu64
                    ", of which the lock server knows nothing: a "
                    "check-in that was cut off, or it was lost there",
                    c->source.parcel, l->next_only);
    *ret_verified = l->own_sealed;
    return *what ? stop(c, restored, accept, what, failure) : 0;
}

/* Puts the record of the version that the lock server names, if the keyroot that it gave is good.
 */
static int put_missing(struct checkout *c, bool *ret_verified, struct failure *failure)
{
    CLEANUP_CATALOG struct catalog *catalog = NULL;
    struct version_seal seal = checkout_seal(c);
    if (catalog_load(c->home, c->codec, &c->base, &catalog) < 0)
        return 0; /* whoever opens the parcel says so */
    *ret_verified = true;
    int r = version_put(c->home, c->uuid, c->base_version, &c->base, &seal);
    return r < 0 ? failure_set(failure, OUTCOME_UNREACHABLE,
                               "the home of %s cannot be written: %s: %s", c->source.parcel, c->src,
                               strerror(-r))
                 : 0;
}

/* --- */

int seen_check(struct checkout *c, uint64_t epoch, bool accept, struct failure *failure)
{
    struct seen old;
    char what[160];
    bool verified = false;
    int r = 0;
    c->epoch = epoch;
    read_seen(c->state_fd, c->source.parcel, &old);
    bool restored = *old.uuid && epoch != old.epoch;
    if (is_older(&old, c, what, sizeof what))
        r = stop(c, restored, accept, what, failure);
    else if (restored)
        log_warning("%s: the lock server was restored from a backup; what was published after that "
                    "was made is missing there",
                    c->source.parcel);
    else if (*old.uuid && strcmp(old.uuid, c->uuid) != 0)
        log_warning("%s: the parcel that this site knew by this name was removed and made anew, or "
                    "rekeyed",
                    c->source.parcel);
    if (r == 0 && c->fresh && c->home)
        r = check_home(c, restored, accept, &verified, failure);
    if (r == 0 && c->fresh && c->home && !verified)
        r = put_missing(c, &verified, failure);
    if (r < 0 || (!verified && !accept))
        return r;
    struct seen now = next_seen(&old, c->uuid, c->base_version, &c->base.id, epoch);
    r = remember(c, &old, &now);
    return r < 0 ? failure_set(failure, OUTCOME_FAILED, "cannot write %s/" SEEN_FILE ": %s",
                               c->state_path, strerror(-r))
                 : 0;
}

void seen_warn(const struct site *site, const struct checkout *c, uint64_t epoch)
{
    struct seen old;
    char what[160];
    CLEANUP_FREE char *path = site_parcel_path(site, &c->source);
    CLEANUP_CLOSE int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    read_seen(fd, c->source.parcel, &old);
    if (is_older(&old, c, what, sizeof what))
        log_warning("%s: %s%s", c->source.parcel, what,
                    epoch != old.epoch ? "; it was restored from a backup since" : "");
}

void seen_note(struct checkout *c, uint64_t number, const struct object_id *catalog)
{
    struct seen old;
    read_seen(c->state_fd, c->source.parcel, &old);
    struct seen now = next_seen(&old, c->uuid, number, catalog, c->epoch);
    int r = remember(c, &old, &now);
    if (r < 0)
        log_warning("%s: cannot write %s/" SEEN_FILE ": %s", c->source.parcel, c->state_path,
                    strerror(-r));
}
