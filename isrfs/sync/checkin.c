/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The steps, each of which may be repeated, and a crash after any of which leads to the same end:
 *
 *   1. fix what is to be published, in the log        a retry publishes this one, whatever came
 * after
 *   2. push, barrier                                  every object is at home
 *   3. hold and version record, barrier               a collector at home keeps them
 *   4. publish (and release in the same command)      the lock server knows the new version
 *   5. forget the log and the nonce, or go on from the new version
 *
 * If the lock server refuses in step 4, this site's version record is taken back, for a walker must
 * not find a version that never was; everything else stays as it is.
 *
 * A rollback is a check-in of an old state: nothing to push, and the lock server knows the keyroot.
 */
#include "isrfs/sync/checkin.h"

#include <inttypes.h>
#include <string.h>

#include "isrfs/base/clock.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/sync/checkout_lock.h"
#include "isrfs/sync/disk_only.h"
#include "isrfs/sync/event.h"
#include "isrfs/sync/hold.h"
#include "isrfs/sync/push.h"
#include "isrfs/sync/seen.h"
#include "isrfs/sync/server.h"
#include "isrfs/sync/version.h"

#define HOME_TRIES 3

static void say(const struct progress *progress, const char *text)
{
    if (progress && progress->report)
        progress->report(progress->ctx, text, 0, 0);
}

/* Does it answer now? */
static bool home_is_there(struct checkout *c)
{
    char name[VERSION_NAME_SIZE];
    CLEANUP_BUFFER struct buffer record = {0};
    version_name(name, c->uuid, c->base_version, &c->base.id);
    int r = store_get_record(c->home, name, &record);
    return r == 0 || r == -ENOENT || r == -EBADMSG;
}

/* A network file system often says EIO of what was under way when its server went. */
static int if_away(struct checkout *c, int r)
{
    return r == -EIO && !home_is_there(c) ? -EHOSTDOWN : r;
}

static int kept(struct checkout *c, int error, const char *what, struct failure *failure)
{
    return failure_set(failure, outcome_of(error),
                       "%s: %s: %s (everything is kept at this site; isr ci %s tries again)",
                       c->source.parcel, what, strerror(-error), c->source.parcel);
}

static bool same_state(const struct object_ref *a, const struct object_ref *b)
{
    return object_id_equal(&a->id, &b->id);
}

/* Step 1, with the root's token. */
static int fix(struct checkout *c, struct failure *failure)
{
    if (!object_id_is_hole(&c->root.publishing.id))
        return 0;
    if (c->root.partial)
        return failure_set(
            failure, OUTCOME_UNREACHABLE,
            "%s: a part of what was written waits for its home (isr ci %s tries again)",
            c->source.parcel, c->source.parcel);
    if (same_state(&c->root.current, &c->root.base))
        return 0;
    struct site_root root = c->root;
    int r = disk_only(c, &root.publishing, failure);
    if (r < 0) {
        secret_wipe(&root, sizeof root);
        return r;
    }
    root.publishing_consistent = root.consistent;
    r = checkout_root_put(c, &root);
    secret_wipe(&root, sizeof root);
    return r < 0 ? kept(c, r, "the site log cannot be written", failure) : 0;
}

/* Step 3. */
static int record(struct checkout *c, const struct site_root *root, struct failure *failure)
{
    int r = hold_put(c->home, c->codec, c->uuid, c->nonce, &root->publishing.id);
    struct version_seal seal = checkout_seal(c);
    r = r < 0 ? r : version_put(c->home, c->uuid, root->base_version + 1, &root->publishing, &seal);
    r = if_away(c, r < 0 ? r : store_barrier(c->home));
    return r < 0 ? kept(c, r, "recording the version at home failed", failure) : 0;
}

/* Steps 2 and 3, once. Up to the last barrier nobody else puts anything (store_put_again). */
static int try_home(struct checkout *c, const struct site_root *root,
                    const struct progress *progress, struct push_result *pushed,
                    struct failure *failure)
{
    if (c->watch)
        home_watch_look(c->watch);
    checkout_carried_take(c);
    struct push_request request = {
        .wanted = &root->publishing, .base = checkout_carried(c, root), .progress = progress};
    int r = if_away(c, push(c, &request, pushed));
    pushed->bytes += c->carried_bytes;
    if (r < 0) {
        checkout_carried_give(c);
        return kept(c, r == -ENOENT ? -EBADMSG : r, "bringing the changes home failed", failure);
    }
    say(progress, "recording the new version at home");
    r = record(c, root, failure);
    checkout_carried_give(c);
    return r;
}

/* Steps 2 and 3. A home that goes away in the middle takes with it what was put since the last
 * barrier; if it is back at once (another child process serves it), everything is put again. */
static int bring_home(struct checkout *c, const struct site_root *root,
                      const struct progress *progress, struct push_result *pushed,
                      struct failure *failure)
{
    if (!c->home)
        return kept(c, -EHOSTDOWN, "its home is not reachable", failure);
    int r = -EHOSTDOWN;
    for (int i = 0; i < HOME_TRIES && r == -EHOSTDOWN; i++) {
        if (i > 0 && !home_is_there(c))
            break;
        if (i > 0)
            log_info("%s: its home is back; bringing the changes there once more",
                     c->source.parcel);
        r = try_home(c, root, progress, pushed, failure);
    }
    return r;
}

/* Does the record of what was refused belong to another site's version of the same number by now,
 * or soon? Two can go back to one old state at once; what this site has encoded itself, and put
 * into its log, nobody else has. Not knowing counts as yes. */
static bool is_anothers(struct checkout *c, const struct site_root *root)
{
    struct lockclient_keyroot *keyroot = NULL;
    struct lockclient_held held = {0};
    const struct object_id *id = &root->publishing.id;
    int r = lockclient_keyroot(c->client, c->source.parcel, root->base_version + 1, &keyroot, NULL);
    bool same =
        r == 0 && memcmp(keyroot->keyroot + sizeof root->publishing.key, id, sizeof *id) == 0;
    lockclient_keyroot_free(keyroot);
    if (r == -ENOENT && store_has(site_log_store(c->log), id) == 0)
        return lockclient_held(c->client, c->source.parcel, &held, NULL) < 0 || held.held;
    return same || (r < 0 && r != -ENOENT);
}

/* Looks after it has removed it too: whoever has put it before that and not published yet holds the
 * lock then. */
static void take_back(struct checkout *c, const struct site_root *root)
{
    if (is_anothers(c, root))
        return;
    int r = version_remove(c->home, c->uuid, root->base_version + 1, &root->publishing.id);
    if (r == 0 && is_anothers(c, root)) {
        struct version_seal seal = checkout_seal(c);
        r = version_put(c->home, c->uuid, root->base_version + 1, &root->publishing, &seal);
        r = r < 0 ? r : store_barrier(c->home);
    }
    if (r < 0)
        log_warning("%s: the record of the version that was refused could not be removed: %s",
                    c->source.parcel, strerror(-r));
}

static int refused(struct checkout *c, const struct site_root *root, int error,
                   const struct lockclient_error *e, struct failure *failure)
{
    take_back(c, root);
    failure_set(failure, OUTCOME_LOCKED,
                "%s: the lock server refused the check-in: %s (this site's changes are kept: isr "
                "ci --as NEWNAME %s makes a parcel of its own of them)",
                c->source.parcel, e->text, c->source.parcel);
    return error;
}

/* Step 4. */
static int publish(struct checkout *c, const struct site_root *root, bool release,
                   const char *comment, const struct push_result *pushed, struct failure *failure)
{
    CLEANUP_SECRET uint8_t *keyroot = secret_alloc(LOCKCLIENT_KEYROOT_SIZE);
    if (!keyroot)
        return kept(c, -ENOMEM, "publishing failed", failure);
    memcpy(keyroot, &root->publishing.key, sizeof root->publishing.key);
    memcpy(keyroot + sizeof root->publishing.key, &root->publishing.id, sizeof root->publishing.id);
    struct lockclient_publish message = {
        .version = {.keyroot = keyroot,
                    .size = pushed->size,
                    .newbytes = pushed->bytes,
                    .comment = comment},
        .base = root->base_version,
        .consistent = root->publishing_consistent,
        .release = release,
    };
    struct lockclient_error error = {0};
    int r = lockclient_publish(c->client, c->source.parcel, c->nonce, &message, &error);
    if (r == 0) {
        seen_note(c, root->base_version + 1, &root->publishing.id);
        return 0;
    }
    if (r == -EBUSY || r == -EKEYREVOKED || r == -ESTALE)
        return refused(c, root, r, &error, failure);
    server_failure(failure, &c->source, r, &error);
    return r;
}

/* Step 5 without release: the version that was published is the new base. With the root's token. */
static int go_on(struct checkout *c, const struct site_root *published, struct failure *failure)
{
    struct site_root root = c->root;
    root.base_version = published->base_version + 1;
    root.base = published->publishing;
    memset(&root.publishing, 0, sizeof root.publishing);
    root.publishing_consistent = false;
    bool trim = !c->parcel_opened && c->found.batches == 0 && !root.partial &&
                same_state(&root.current, &root.base);
    int r = trim ? site_log_restart(c->log, &root) : checkout_root_put(c, &root);
    if (r == 0) {
        c->root = root;
        c->base = root.base;
        c->base_version = root.base_version;
        checkout_carried_take(c);
        memset(&c->carried, 0, sizeof c->carried);
        c->carried_bytes = 0;
        checkout_carried_give(c);
    }
    secret_wipe(&root, sizeof root);
    return r < 0 ? kept(c, r, "the site log cannot be written", failure) : 0;
}

static int forget(struct checkout *c, struct failure *failure)
{
    int r = checkout_forget(c);
    return r < 0 ? failure_set(failure, OUTCOME_FAILED,
                               "%s is checked in, but %s cannot be cleaned: %s", c->source.parcel,
                               c->state_path, strerror(-r))
                 : 0;
}

static int release_unchanged(struct checkout *c, struct failure *failure)
{
    struct lockclient_error error = {0};
    int r = lockclient_release(c->client, c->source.parcel, c->nonce, &error);
    return r < 0 ? server_failure(failure, &c->source, r, &error) : forget(c, failure);
}

/* One version. Another is needed when the log went on after the one that was fixed: then *RET_MORE.
 */
static int publish_one(struct checkout *c, bool release, const char *comment,
                       const struct progress *progress, struct checkin_result *ret, bool *ret_more,
                       struct failure *failure)
{
    checkout_root_take(c);
    int r = fix(c, failure);
    struct site_root root = c->root;
    checkout_root_give(c);
    bool changed = !object_id_is_hole(&root.publishing.id);
    *ret_more =
        changed && !c->disk_only && (root.partial || !same_state(&root.current, &root.publishing));
    bool last = release && !*ret_more;
    struct push_result pushed = {0};
    if (r == 0 && changed) {
        r = bring_home(c, &root, progress, &pushed, failure);
        if (r == 0)
            say(progress, "publishing");
        r = r < 0 ? r : publish(c, &root, last, comment, &pushed, failure);
        ret->changed |= r == 0;
        ret->objects += pushed.objects;
        ret->bytes += pushed.bytes;
    }
    ret->version = root.base_version + (r == 0 && changed);
    if (r == 0 && last) {
        r = changed ? forget(c, failure) : release_unchanged(c, failure);
    } else if (r == 0 && changed) {
        checkout_root_take(c);
        r = go_on(c, &root, failure);
        checkout_root_give(c);
    }
    secret_wipe(&root, sizeof root);
    return r;
}

int checkin(struct checkout *c, bool release, const char *comment, const struct progress *progress,
            struct checkin_result *ret, struct failure *failure)
{
    *ret = (struct checkin_result){.version = c->base_version};
    if (!c->log)
        return failure_set(failure, OUTCOME_FAILED, "%s is read-only here", c->source.parcel);
    int64_t began = clock_ms();
    bool more;
    int r;
    do {
        r = publish_one(c, release, comment, progress, ret, &more, failure);
    } while (r == 0 && more);
    struct event_number numbers[] = {{"ms", (uint64_t)(clock_ms() - began)},
                                     {"objects", ret->objects},
                                     {"bytes", ret->bytes},
                                     {"changed", ret->changed}};
    if (r == 0 && c->events)
        event_send(&c->source, release ? "checkin" : "checkpoint", numbers, 4);
    return r;
}

/* --- going back --- */

/* The state of an old version, which must still be at home. */
static int find_old(struct checkout *c, uint64_t version, struct object_ref *ret,
                    struct failure *failure)
{
    struct source old = c->source;
    old.version = version;
    struct lockclient_keyroot *keyroot = NULL;
    struct lockclient_error error = {0};
    int r = lockclient_keyroot(c->client, c->source.parcel, version, &keyroot, &error);
    if (r < 0)
        return server_failure(failure, &old, r, &error);
    memcpy(&ret->key, keyroot->keyroot, sizeof ret->key);
    memcpy(&ret->id, keyroot->keyroot + sizeof ret->key, sizeof ret->id);
    lockclient_keyroot_free(keyroot);
    CLEANUP_CATALOG struct catalog *catalog = NULL;
    r = c->home ? catalog_load(c->home, c->codec, ret, &catalog) : -EHOSTDOWN;
    if (r == 0)
        return 0;
    return failure_set(failure, r == -ENOENT ? OUTCOME_DAMAGED : outcome_of(r),
                       "%s: the catalog of version %" PRIu64 " cannot be read at home: %s",
                       c->source.parcel, version, strerror(-r));
}

/* With the root's token: from now on a retry, and isr ci, publish OLD. */
static int fix_old(struct checkout *c, const struct object_ref *old, struct failure *failure)
{
    bool begun = same_state(&c->root.publishing, old) && same_state(&c->root.current, old);
    if (begun)
        return 0;
    if (c->found.batches > 0 || !same_state(&c->root.current, &c->root.base) ||
        !object_id_is_hole(&c->root.publishing.id))
        return failure_set(failure, OUTCOME_FAILED,
                           "%s has changes at this site that are not checked in: isr ci %s first",
                           c->source.parcel, c->source.parcel);
    struct site_root root = c->root;
    root.current = root.publishing = *old;
    root.consistent = root.publishing_consistent = true;
    int r = checkout_root_put(c, &root);
    secret_wipe(&root, sizeof root);
    return r < 0 ? kept(c, r, "the site log cannot be written", failure) : 0;
}

/* The server has refused for good: nothing was begun. */
static void undo_old(struct checkout *c, const struct site_root *refused_root, bool release,
                     bool lost)
{
    take_back(c, refused_root);
    if (release && lost)
        checkout_forget(c);
    else if (release)
        checkout_lock_abandon(c);
    if (release)
        return;
    checkout_root_take(c);
    struct site_root root = c->root;
    root.current = root.base;
    memset(&root.publishing, 0, sizeof root.publishing);
    int r = checkout_root_put(c, &root);
    secret_wipe(&root, sizeof root);
    checkout_root_give(c);
    if (r < 0)
        log_warning("%s: the site log cannot be written: %s", c->source.parcel, strerror(-r));
}

/* Step 4 of a rollback. */
static int publish_old(struct checkout *c, const struct site_root *root, uint64_t version,
                       bool release, const char *comment, struct failure *failure)
{
    struct lockclient_rollback message = {.base = root->base_version,
                                          .version = version,
                                          .catalog = root->publishing.id.bytes,
                                          .comment = comment,
                                          .release = release};
    struct lockclient_error error = {0};
    int r = lockclient_rollback(c->client, c->source.parcel, c->nonce, &message, &error);
    if (r == 0)
        return 0;
    server_failure(failure, &c->source, r, &error);
    if (r == -ENOENT || r == -EBUSY || r == -EKEYREVOKED || r == -ESTALE)
        undo_old(c, root, release, r == -EKEYREVOKED);
    return r;
}

static int rollback_to(struct checkout *c, const struct object_ref *old, uint64_t version,
                       bool release, const char *comment, struct checkin_result *ret,
                       struct failure *failure)
{
    checkout_root_take(c);
    int r = fix_old(c, old, failure);
    struct site_root root = c->root;
    checkout_root_give(c);
    r = r < 0 ? r : record(c, &root, failure);
    r = r < 0 ? r : publish_old(c, &root, version, release, comment, failure);
    if (r == 0)
        *ret = (struct checkin_result){.version = root.base_version + 1, .changed = true};
    if (r == 0 && release) {
        r = forget(c, failure);
    } else if (r == 0) {
        checkout_root_take(c);
        r = go_on(c, &root, failure);
        checkout_root_give(c);
    }
    secret_wipe(&root, sizeof root);
    return r;
}

int checkin_rollback(struct checkout *c, uint64_t version, bool release, const char *comment,
                     struct checkin_result *ret, struct failure *failure)
{
    *ret = (struct checkin_result){.version = c->base_version};
    struct object_ref old = {0};
    int r = find_old(c, version, &old, failure);
    if (r < 0 && release)
        checkout_lock_abandon(c);
    else if (r == 0 && same_state(&old, &c->base) && same_state(&c->root.current, &c->base))
        r = release ? release_unchanged(c, failure) : 0;
    else if (r == 0)
        r = rollback_to(c, &old, version, release, comment, ret, failure);
    secret_wipe(&old, sizeof old);
    return r;
}
