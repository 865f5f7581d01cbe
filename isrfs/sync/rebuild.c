/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For each parcel that is wanted, in this order: choose the version, ask the lock server whether
 * the name is free, write what records are to be new, barrier, create the parcel. Only the last
 * step shows it to anyone, and all may be done again.
 *
 * The newest version that can be read keeps its uuid and number, so that sites that know the parcel
 * go on with it. An older one that is asked for gets the number after the newest one, as a rollback
 * would. Under another name it is another parcel, with a uuid of its own, as a clone would be. */
#include "isrfs/sync/rebuild.h"

#include <inttypes.h>
#include <string.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/parcel/catalog.h"
#include "isrfs/store/folder.h"
#include "isrfs/sync/home.h"
#include "isrfs/sync/rebuild_scan.h"
#include "isrfs/sync/server.h"

struct rebuild {
    const struct rebuild_config *config;
    void (*report)(void *ctx, const struct rebuild_parcel *p);
    void *ctx;
    struct failure *failure;
    struct codec *codec;
    char store_uuid[STORE_UUID_HEX + 1];
    struct store *home;
    char *src;
    struct lockclient *client;
    uint8_t *recovery; /* what records are sealed with from now on; NULL: the server has no keys */
    bool adopt;        /* the user is new at the lock server, and keeps the key that was given */
    struct rebuild_list list;
};

static void rebuild_free(struct rebuild *b)
{
    rebuild_list_free(&b->list);
    lockclient_free(b->client);
    secret_free(b->recovery);
    store_free(b->home);
    codec_free(b->codec);
    free(b->src);
}

/* --- store and lock server --- */

static int open_home(struct rebuild *b, const struct site *site)
{
    char clean[256];
    static const struct codec_settings settings = {.method = CODEC_STORED};
    struct home_limits limits;
    int r = home_limits(site, &limits, b->failure);
    r = r < 0 ? r : home_url(b->config->store, &b->src, b->failure);
    const char *path = r < 0 ? NULL : home_folder(b->src, b->failure);
    if (!path)
        return r < 0 ? r : -EINVAL;
    b->codec = codec_new(&settings);
    if (!b->codec)
        return failure_set(b->failure, OUTCOME_FAILED, "cannot start: %s", strerror(errno));
    struct folder_config config = {.path = path, .codec = b->codec};
    r = home_open(&config, &limits, NULL, &b->home, b->store_uuid);
    return r < 0 ? failure_set(b->failure, OUTCOME_UNREACHABLE, "cannot open the store at %s: %s",
                               log_clean(clean, sizeof clean, path), strerror(-r))
                 : 0;
}

static int ask_server(struct rebuild *b, const struct site *site)
{
    const struct source *source = b->config->source;
    struct lockclient_error error = {0};
    struct lockclient_user *user = NULL;
    struct lockclient_list list;
    int r = server_open(site, source, true, &b->client, b->failure);
    if (r < 0)
        return r;
    r = lockclient_user(b->client, &user, &error);
    if (r < 0)
        return server_failure(b->failure, source, r, &error);
    b->recovery = user->has_recovery ? secret_alloc(sizeof user->recovery) : NULL;
    if (b->recovery)
        memcpy(b->recovery, user->recovery, sizeof user->recovery);
    bool enough = b->recovery || !user->has_recovery;
    lockclient_user_free(user);
    if (!enough)
        return failure_set(b->failure, OUTCOME_FAILED, "out of memory");
    r = lockclient_list(b->client, &list, &error);
    if (r < 0)
        return server_failure(b->failure, source, r, &error);
    b->adopt = b->recovery && list.count == 0;
    lockclient_list_free(&list);
    if (b->adopt)
        memcpy(b->recovery, b->config->recovery, LOCKCLIENT_RECOVERY_SIZE);
    return 0;
}

/* --- what there is --- */

static bool is_wanted(const struct rebuild *b, const struct rebuild_found *p)
{
    const char *wanted = b->config->source->parcel;
    return !wanted || strcmp(wanted, p->parcel) == 0 || strcmp(wanted, p->uuid) == 0;
}

/* "1-7, 9", the oldest first. */
static int say_good(const struct rebuild_found *p, struct buffer *out)
{
    int r = 0;
    for (size_t i = p->count; r == 0 && i > 0;) {
        if (p->versions[--i].error != 0)
            continue;
        uint64_t first = p->versions[i].number, last = first;
        for (; i > 0; i--) {
            const struct rebuild_version *next = &p->versions[i - 1];
            if (next->number > last + 1 || next->error != 0)
                break;
            last = next->number;
        }
        r = buffer_printf(out, last > first ? "%s%" PRIu64 "-%" PRIu64 : "%s%" PRIu64,
                          out->size ? ", " : "", first, last);
    }
    return r < 0 ? r : buffer_terminate(out);
}

static const char *why(const struct rebuild_version *v)
{
    if (v->error == -ENOKEY)
        return "it has no sealed keyroot";
    if (v->opened)
        return v->error == -ENOENT ? "its catalog is missing" : "its catalog is damaged";
    return v->error == -ENOENT ? "it cannot be read"
                               : "it is damaged, or not sealed with this recovery key";
}

static void name_skipped(const struct rebuild_found *p)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct rebuild_version *v = &p->versions[i];
        char hex[OBJECT_ID_HEX + 1];
        object_id_to_hex(&v->catalog, hex);
        if (v->error != 0)
            log_warning("versions/%s/%" PRIu64 "-%s is passed over: %s", p->uuid, v->number, hex,
                        why(v));
    }
}

/* Is there anything that the words open? */
static int check_found(struct rebuild *b)
{
    size_t records = 0, opened = 0, wanted = 0;
    char clean[256];
    log_clean(clean, sizeof clean, b->config->store);
    for (size_t i = 0; i < b->list.count; i++) {
        records += b->list.parcels[i].count;
        opened += b->list.parcels[i].opened;
        wanted += is_wanted(b, &b->list.parcels[i]);
    }
    if (records == 0)
        return failure_set(b->failure, OUTCOME_UNKNOWN,
                           "the store at %s has no version of a parcel", clean);
    if (opened == 0)
        return failure_set(b->failure, OUTCOME_FAILED,
                           "this recovery key opens none of the %zu version records at %s", records,
                           clean);
    if (wanted == 0)
        return failure_set(b->failure, OUTCOME_UNKNOWN,
                           "the store at %s has no parcel %s that this recovery key opens", clean,
                           b->config->source->parcel);
    if (b->config->new_name && wanted > 1)
        return failure_set(b->failure, OUTCOME_FAILED,
                           "the store at %s has %zu parcels of this name: give the uuid", clean,
                           wanted);
    return 0;
}

static const struct rebuild_version *choose(const struct rebuild *b, const struct rebuild_found *p)
{
    uint64_t number = b->config->source->version;
    for (size_t i = 0; i < p->count; i++)
        if (p->versions[i].error == 0 && (!number || number == p->versions[i].number))
            return &p->versions[i];
    return NULL;
}

/* --- making one --- */

struct target {
    const char *name;
    char uuid[STORE_UUID_HEX + 1];
    uint64_t number;
    bool same; /* the parcel that it was, not another */
};

static int set_target(const struct rebuild *b, const struct rebuild_found *p,
                      const struct rebuild_version *v, struct target *t)
{
    uint8_t random[STORE_UUID_HEX / 2];
    t->same = !b->config->new_name || strcmp(b->config->new_name, p->parcel) == 0;
    t->name = t->same ? p->parcel : b->config->new_name;
    if (t->same) {
        uint64_t highest = 0;
        for (size_t i = p->count; i > 0; i--)
            highest = p->versions[i - 1].opened ? p->versions[i - 1].number : highest;
        memcpy(t->uuid, p->uuid, sizeof t->uuid);
        t->number = v->number == highest ? highest : highest + 1;
        return 0;
    }
    t->number = 1;
    int r = random_bytes(random, sizeof random);
    hex_encode(t->uuid, random, sizeof random);
    return r;
}

/* 0 if the name is free. -EEXIST with *RET_REASON. */
static int check_name(struct rebuild *b, const struct target *t, const char **ret_reason)
{
    struct lockclient_parcel_cfg cfg;
    struct lockclient_error error = {0};
    int r = lockclient_parcel_cfg(b->client, t->name, &cfg, &error);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return server_failure(b->failure, b->config->source, r, &error);
    *ret_reason = strcmp(cfg.uuid, t->uuid) == 0
                      ? "it is at the lock server already"
                      : "the lock server has another parcel of this name; give a new name";
    return -EEXIST;
}

/* So that the user's recovery key opens them from now on. */
static int seal_anew(struct rebuild *b, const struct rebuild_found *p,
                     const struct version_seal *seal)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < p->count; i++) {
        struct version record;
        if (p->versions[i].error != 0)
            continue;
        r = rebuild_reopen(b->home, p, &p->versions[i], b->config->recovery, &record);
        r = r < 0 ? r : version_put(b->home, p->uuid, record.number, &record.catalog, seal);
        secret_wipe(&record, sizeof record);
    }
    return r;
}

static int put_records(struct rebuild *b, const struct rebuild_found *p, const struct target *t,
                       uint64_t from, const struct object_ref *keyroot)
{
    struct version_seal seal = {.recovery = b->recovery, .parcel = t->name};
    int r = 0;
    if (t->same && b->recovery &&
        !secret_equal(b->recovery, b->config->recovery, LOCKCLIENT_RECOVERY_SIZE))
        r = seal_anew(b, p, &seal);
    if (r == 0 && (!t->same || t->number != from))
        r = version_put(b->home, t->uuid, t->number, keyroot, &seal);
    r = r < 0 ? r : store_barrier(b->home);
    return r < 0 ? failure_set(b->failure, outcome_of(r), "the store cannot be written: %s",
                               strerror(-r))
                 : 0;
}

static int create(struct rebuild *b, const struct target *t, const struct object_ref *ref,
                  uint64_t size, uint64_t from)
{
    CLEANUP_SECRET uint8_t *keyroot = secret_alloc(LOCKCLIENT_KEYROOT_SIZE);
    char comment[64];
    if (!keyroot)
        return failure_set(b->failure, OUTCOME_FAILED, "out of memory");
    memcpy(keyroot, ref->key.bytes, sizeof ref->key.bytes);
    memcpy(keyroot + sizeof ref->key.bytes, ref->id.bytes, sizeof ref->id.bytes);
    snprintf(comment, sizeof comment, "recovered from version %" PRIu64, from);
    struct lockclient_create c = {.version = {.keyroot = keyroot, .size = size, .comment = comment},
                                  .uuid = t->uuid,
                                  .store = b->store_uuid,
                                  .src = b->src,
                                  .number = t->number,
                                  .recovery = b->adopt ? b->recovery : NULL};
    struct lockclient_error error = {0};
    int r = lockclient_create(b->client, t->name, &c, &error);
    if (r == -EHOSTUNREACH || r == -EBADMSG)
        r = lockclient_create(b->client, t->name, &c, &error); /* done once only */
    return r < 0 ? server_failure(b->failure, b->config->source, r, &error) : 0;
}

/* -EEXIST with *RET_REASON: the name is not free. */
static int make(struct rebuild *b, const struct rebuild_found *p, const struct rebuild_version *v,
                struct target *t, const char **ret_reason)
{
    struct version record;
    CLEANUP_CATALOG struct catalog *catalog = NULL;
    uint64_t size = 0;
    int r = set_target(b, p, v, t);
    r = r < 0 ? r : check_name(b, t, ret_reason);
    if (r < 0)
        return r;
    r = rebuild_reopen(b->home, p, v, b->config->recovery, &record);
    r = r < 0 ? r : catalog_load(b->home, b->codec, &record.catalog, &catalog);
    for (size_t i = 0; r == 0 && i < catalog->count; i++)
        size += catalog->entries[i].size;
    if (r < 0)
        failure_set(b->failure, outcome_of(r), "%s: version %" PRIu64 " cannot be read: %s",
                    t->name, v->number, strerror(-r));
    r = r < 0 ? r : put_records(b, p, t, v->number, &record.catalog);
    r = r < 0 ? r : create(b, t, &record.catalog, size, v->number);
    secret_wipe(&record, sizeof record);
    return r;
}

static int make_one(struct rebuild *b, const struct rebuild_found *p, size_t *ret_made)
{
    CLEANUP_BUFFER struct buffer good = {0};
    struct target target = {0};
    const struct rebuild_version *v = choose(b, p);
    struct rebuild_parcel parcel = {.uuid = p->uuid, .records = p->count};
    int r = say_good(p, &good);
    if (r < 0)
        return failure_set(b->failure, OUTCOME_FAILED, "out of memory");
    parcel.good = (const char *)good.data;
    parcel.name = *p->parcel ? p->parcel : NULL;
    if (p->opened)
        name_skipped(p);
    if (!v)
        parcel.reason = p->opened == 0 ? "this recovery key opens none of its records"
                        : p->good == 0 ? "none of its versions can be read"
                                       : "this version cannot be read";
    else
        r = make(b, p, v, &target, &parcel.reason);
    if (r < 0 && !parcel.reason)
        return r;
    if (!parcel.reason) {
        ++*ret_made;
        parcel.name = target.name;
        parcel.from = v->number;
        parcel.time = v->time;
        parcel.number = target.number;
    }
    b->report(b->ctx, &parcel);
    return 0;
}

int rebuild(const struct site *site, const struct rebuild_config *config,
            void (*report)(void *ctx, const struct rebuild_parcel *p), void *ctx, size_t *ret_made,
            struct failure *failure)
{
    CLEANUP(rebuild_free)
    struct rebuild b = {.config = config, .report = report, .ctx = ctx, .failure = failure};
    *ret_made = 0;
    int r = open_home(&b, site);
    if (r < 0)
        return r;
    r = rebuild_scan(b.home, config->recovery, &b.list);
    if (r < 0)
        return failure_set(failure, outcome_of(r), "the version records cannot be read: %s",
                           strerror(-r));
    r = check_found(&b);
    r = r < 0 ? r : ask_server(&b, site);
    for (size_t i = 0; r == 0 && i < b.list.count; i++)
        if (is_wanted(&b, &b.list.parcels[i]))
            r = make_one(&b, &b.list.parcels[i], ret_made);
    return r;
}
