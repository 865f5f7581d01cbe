/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A note in the state folder, `own`, is what makes it repeatable. It says which nonce it is about,
 * the new parcel's name and uuid, and at last that the parcel is there:
 *
 *   1. note nonce, name, uuid          a retry with this name uses this uuid
 *   2. push, hold, version record, barrier
 *   3. create the parcel at the lock server    done once for one uuid and keyroot, however often
 *                                              it is said
 *   4. note that it is there           from here on this check-out has ended, whatever the lock
 *                                      server says of its nonce (checkout_lock.c)
 *   5. release if the lock is held, forget the log, the nonce and the note
 *
 * A note of another nonce means nothing. */
#include "isrfs/sync/checkin_as.h"

#include <string.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/sync/hold.h"
#include "isrfs/sync/push.h"
#include "isrfs/sync/server.h"
#include "isrfs/sync/version.h"

#define NOTE       "own"
#define NOTE_LIMIT 4096u

struct own {
    struct checkout *checkout;
    struct source source; /* of the new parcel; its strings are borrowed but for `name` */
    char *name;
    char uuid[LOCKCLIENT_UUID_SIZE];
    struct failure *failure;
};

static void own_free(struct own *o)
{
    free(o->name);
}

/* The note about NONCE, or NULL. */
static int read_note(int state_fd, const char *nonce, struct keyvalue **ret)
{
    static const char *const keys[] = {"NONCE", "NAME", "UUID", "DONE", NULL};
    CLEANUP_BUFFER struct buffer text = {0};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    *ret = NULL;
    int r = io_read_file(state_fd, NOTE, NOTE_LIMIT, &text);
    if (r == -ENOENT)
        return 0;
    r = r < 0 ? r : keyvalue_parse(text.data, text.size, keys, &kv, NULL);
    if (r < 0)
        return r;
    const char *whose = keyvalue_get(kv, "NONCE"), *name = keyvalue_get(kv, "NAME"),
               *uuid = keyvalue_get(kv, "UUID");
    if (!whose || !name || !uuid || strlen(uuid) != LOCKCLIENT_UUID_SIZE - 1)
        return -EBADMSG;
    if (strcmp(whose, nonce) == 0)
        *ret = steal_ptr(kv);
    return 0;
}

int checkin_as_ended(int state_fd, const char *nonce, char **ret_name)
{
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    *ret_name = NULL;
    int r = read_note(state_fd, nonce, &kv);
    if (r < 0 || !kv || !keyvalue_get(kv, "DONE"))
        return r;
    *ret_name = strdup(keyvalue_get(kv, "NAME"));
    return *ret_name ? 0 : -ENOMEM;
}

static int write_note(const struct own *o, bool done)
{
    const struct checkout *c = o->checkout;
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    CLEANUP_BUFFER struct buffer text = {0};
    int r = kv ? keyvalue_set(kv, "NONCE", c->nonce) : -ENOMEM;
    r = r < 0 ? r : keyvalue_set(kv, "NAME", o->name);
    r = r < 0 ? r : keyvalue_set(kv, "UUID", o->uuid);
    if (r == 0 && done)
        r = keyvalue_set(kv, "DONE", "1");
    r = r < 0 ? r : keyvalue_format(kv, &text);
    r = r < 0 ? r : io_replace(c->state_fd, NOTE, text.data, text.size, 0600, true);
    return r < 0 ? failure_set(o->failure, OUTCOME_FAILED, "cannot write %s/%s: %s", c->state_path,
                               NOTE, strerror(-r))
                 : 0;
}

/* 1 if the lock server has a parcel NAME with that UUID and the newest root as its first version, 0
 * if it has none of that name; another is a failure if TAKEN, else 0. */
static int is_there(struct own *o, const char *name, const char *uuid, bool taken)
{
    const struct checkout *c = o->checkout;
    struct lockclient_parcel_cfg cfg;
    struct lockclient_error error = {0};
    int r = lockclient_parcel_cfg(c->client, name, &cfg, &error);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return server_failure(o->failure, &o->source, r, &error);
    bool same = strcmp(cfg.uuid, uuid) == 0;
    if (same) {
        struct lockclient_keyroot *keyroot = NULL;
        r = lockclient_keyroot(c->client, name, 1, &keyroot, &error);
        if (r < 0)
            return server_failure(o->failure, &o->source, r, &error);
        same = memcmp(keyroot->keyroot + sizeof(struct object_key), &c->root.current.id,
                      sizeof c->root.current.id) == 0;
        lockclient_keyroot_free(keyroot);
    }
    if (same)
        return 1;
    return taken ? failure_set(o->failure, OUTCOME_FAILED,
                               "there is a parcel %s already: give another name (the changes to %s "
                               "are kept)",
                               name, c->source.parcel)
                 : 0;
}

/* Steps 0 and 1. 1 if the parcel is there already: then o->name is its name. */
static int begin(struct own *o)
{
    const struct checkout *c = o->checkout;
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    int r = read_note(c->state_fd, c->nonce, &kv);
    if (r < 0)
        return failure_set(o->failure, outcome_of(r), "cannot read %s/%s: %s", c->state_path, NOTE,
                           strerror(-r));
    const char *noted = kv ? keyvalue_get(kv, "NAME") : NULL;
    const char *uuid = kv ? keyvalue_get(kv, "UUID") : "";
    if (noted && strcmp(noted, o->name) != 0) {
        r = is_there(o, noted, uuid, false);
        if (r > 0) {
            memcpy(o->uuid, uuid, sizeof o->uuid);
            free(o->name);
            o->name = strdup(noted);
            return o->name ? 1 : failure_set(o->failure, OUTCOME_FAILED, "out of memory");
        }
        if (r == 0 && c->home)
            version_remove(c->home, uuid, 1, &c->root.current.id);
        noted = NULL;
    }
    r = r < 0 ? r : is_there(o, o->name, noted ? uuid : "", true);
    if (r < 0)
        return r;
    if (noted) {
        memcpy(o->uuid, uuid, sizeof o->uuid);
        return r;
    }
    uint8_t random[(LOCKCLIENT_UUID_SIZE - 1) / 2];
    r = random_bytes(random, sizeof random);
    if (r < 0)
        return failure_set(o->failure, OUTCOME_FAILED, "no random numbers: %s", strerror(-r));
    hex_encode(o->uuid, random, sizeof random);
    return write_note(o, false);
}

static int kept(const struct own *o, int error, const char *what)
{
    return failure_set(o->failure, outcome_of(error),
                       "%s: %s: %s (everything is kept at this site; say it again)",
                       o->checkout->source.parcel, what, strerror(-error));
}

/* Step 2. */
static int bring_home(struct own *o, const struct progress *progress, struct push_result *pushed)
{
    struct checkout *c = o->checkout;
    const struct site_root *root = &c->root;
    if (!c->home)
        return kept(o, -EHOSTDOWN, "its home is not reachable");
    struct version_seal seal = checkout_seal(c);
    seal.parcel = o->name;
    checkout_carried_take(c);
    struct push_request request = {
        .wanted = &root->current, .base = checkout_carried(c, root), .progress = progress};
    int r = push(c, &request, pushed);
    if (r < 0) {
        checkout_carried_give(c);
        return kept(o, r == -ENOENT ? -EBADMSG : r, "bringing the changes home failed");
    }
    r = hold_put(c->home, c->codec, c->uuid, c->nonce, &root->current.id);
    r = r < 0 ? r : version_put(c->home, o->uuid, 1, &root->current, &seal);
    r = r < 0 ? r : store_barrier(c->home);
    checkout_carried_give(c);
    return r < 0 ? kept(o, r, "recording the version at home failed") : 0;
}

/* Step 3. */
static int create(struct own *o, const char *comment, const struct push_result *pushed)
{
    const struct checkout *c = o->checkout;
    struct lockclient_parcel_cfg cfg;
    struct lockclient_error error = {0};
    CLEANUP_SECRET uint8_t *keyroot = secret_alloc(LOCKCLIENT_KEYROOT_SIZE);
    CLEANUP_FREE char *remark = NULL;
    if (!keyroot || asprintf(&remark, "%s at version %llu, from %s%s%s%s", c->source.parcel,
                             (unsigned long long)c->root.base_version,
                             c->lost ? "a site that lost its lock" : "where it was checked out",
                             c->root.consistent ? "" : ", disk only", comment ? ": " : "",
                             comment ? comment : "") < 0) {
        remark = NULL;
        return kept(o, -ENOMEM, "creating the parcel failed");
    }
    memcpy(keyroot, &c->root.current.key, sizeof c->root.current.key);
    memcpy(keyroot + sizeof c->root.current.key, &c->root.current.id, sizeof c->root.current.id);
    int r = lockclient_parcel_cfg(c->client, c->source.parcel, &cfg, &error);
    if (r < 0)
        return server_failure(o->failure, &c->source, r, &error);
    struct lockclient_create message = {.version = {.keyroot = keyroot,
                                                    .size = pushed->size,
                                                    .newbytes = pushed->bytes,
                                                    .comment = remark},
                                        .uuid = o->uuid,
                                        .store = cfg.store,
                                        .src = c->src};
    r = lockclient_create(c->client, o->name, &message, &error);
    if (r == 0)
        return 0;
    if (r == -EEXIST)
        version_remove(c->home, o->uuid, 1, &c->root.current.id);
    return server_failure(o->failure, &o->source, r, &error);
}

/* Steps 4 and 5. */
static int finish(struct own *o)
{
    struct checkout *c = o->checkout;
    int r = write_note(o, true);
    if (r < 0)
        return r;
    struct lockclient_error error = {0};
    r = c->lost ? 0 : lockclient_release(c->client, c->source.parcel, c->nonce, &error);
    if (r < 0 && r != -EKEYREVOKED)
        return failure_set(o->failure, OUTCOME_UNREACHABLE,
                           "the parcel %s is there, but the lock on %s could not be given back: %s "
                           "(isr ci %s does it)",
                           o->name, c->source.parcel, error.text, c->source.parcel);
    r = checkout_forget(c);
    return r < 0 ? failure_set(o->failure, OUTCOME_FAILED,
                               "the parcel %s is there, but %s cannot be cleaned: %s", o->name,
                               c->state_path, strerror(-r))
                 : 0;
}

int checkin_as(struct checkout *c, const char *name, const char *comment,
               const struct progress *progress, struct checkin_result *ret, char **ret_name,
               struct failure *failure)
{
    *ret = (struct checkin_result){.version = 1};
    if (!c->log)
        return failure_set(failure, OUTCOME_FAILED, "%s is read-only here", c->source.parcel);
    if (!lockclient_name_valid(name))
        return failure_set(failure, OUTCOME_USAGE, "a parcel cannot be named like this");
    CLEANUP(own_free) struct own o = {.checkout = c, .failure = failure, .name = strdup(name)};
    if (!o.name)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    o.source =
        (struct source){.server = c->source.server, .user = c->source.user, .parcel = (char *)name};
    struct push_result pushed = {0};
    int r = begin(&o);
    if (r == 0) {
        r = bring_home(&o, progress, &pushed);
        r = r < 0 ? r : create(&o, comment, &pushed);
        ret->changed = r == 0;
        ret->objects = pushed.objects;
        ret->bytes = pushed.bytes;
    }
    r = r < 0 ? r : finish(&o);
    if (r == 0)
        *ret_name = steal_ptr(o.name);
    return r;
}
