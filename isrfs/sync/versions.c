/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What comes to be is recorded at home before the lock server knows it; what goes is forgotten by
 * the lock server before its record at home goes. So whatever the lock server names has its record
 * there, at any moment, and a collector of garbage keeps its objects. (But not what a restored
 * backup has published under a higher number: that gets its record at the next check-out, or before
 * anything is pruned.)
 *
 * The lock server remembers what it has forgotten. The records of all of that go each time, and so
 * also what an earlier command, perhaps at another site, was kept from removing. */
#include "isrfs/sync/versions.h"

#include <inttypes.h>
#include <string.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/sync/begun.h"
#include "isrfs/sync/server.h"
#include "isrfs/sync/version.h"
#include "lockclient/lockclient.h"

static int home_failure(const struct checkout *c, int error, const char *what,
                        struct failure *failure)
{
    return failure_set(failure, outcome_of(error), "%s: %s: %s", c->source.parcel, what,
                       strerror(-error));
}

/* --- clone --- */

/* Did the server surely not do it? */
static bool refused(int r)
{
    return r == -EEXIST || r == -EINVAL || r == -ENOENT || r == -EREMOTEIO || r == -ESTALE;
}

static int clone_at_server(struct checkout *c, const struct lockclient_clone *clone,
                           struct failure *failure)
{
    struct lockclient_error error = {0};
    int r = lockclient_clone(c->client, c->source.parcel, clone, &error);
    if (r < 0 && !refused(r))
        r = lockclient_clone(c->client, c->source.parcel, clone, &error); /* done once only */
    if (r == -EEXIST)
        failure_set(failure, OUTCOME_FAILED, "there is a parcel %s already", clone->name);
    else if (r < 0)
        server_failure(failure, &c->source, r, &error);
    return r;
}

int versions_clone(const struct site *site, struct checkout *c, const char *name,
                   const char *comment, struct failure *failure)
{
    CLEANUP_CATALOG struct catalog *catalog = NULL;
    CLEANUP_BEGUN struct begun *begun = NULL;
    int r = catalog_load(c->home, c->codec, &c->base, &catalog);
    if (r < 0)
        return home_failure(c, r == -ENOENT ? -EBADMSG : r, "its catalog cannot be read at home",
                            failure);
    uint8_t random[(LOCKCLIENT_UUID_SIZE - 1) / 2];
    char uuid[LOCKCLIENT_UUID_SIZE];
    r = random_bytes(random, sizeof random);
    if (r < 0)
        return home_failure(c, r, "cannot begin", failure);
    hex_encode(uuid, random, sizeof random);
    struct begun_parcel parcel = {
        .source = &c->source, .parcel = name, .uuid = uuid, .src = c->src, .catalog = &c->base.id};
    r = begun_note(site, &parcel, &begun);
    if (r < 0)
        return home_failure(c, r, "this site's state folder cannot be written", failure);
    struct version_seal seal = checkout_seal(c);
    seal.parcel = name;
    r = version_put(c->home, uuid, 1, &c->base, &seal);
    r = r < 0 ? r : store_barrier(c->home);
    if (r < 0)
        return home_failure(c, r, "recording the new parcel at home failed", failure);
    struct lockclient_clone clone = {.name = name,
                                     .uuid = uuid,
                                     .version = c->base_version,
                                     .catalog = c->base.id.bytes,
                                     .comment = comment};
    r = clone_at_server(c, &clone, failure);
    bool removed = r < 0 && refused(r) && version_remove(c->home, uuid, 1, &c->base.id) == 0;
    if (r == 0 || removed)
        begun_end(steal_ptr(begun));
    return r;
}

/* --- remove, prune --- */

/* Those of one parcel, from AT on. */
static int forget_one(struct checkout *c, const struct lockclient_forgotten *all, size_t at,
                      size_t *ret_next)
{
    const char *uuid = all->gone[at].uuid;
    bool whole = false;
    size_t end = at;
    for (; end < all->count && strcmp(all->gone[end].uuid, uuid) == 0; end++)
        whole |= all->gone[end].number == 0;
    *ret_next = end;
    CLEANUP_FREE uint64_t *numbers = whole ? NULL : calloc(end - at, sizeof *numbers);
    if (!whole && !numbers)
        return -ENOMEM;
    for (size_t i = at; !whole && i < end; i++)
        numbers[i - at] = all->gone[i].number;
    return version_remove_numbers(c->home, uuid, numbers, end - at);
}

static int forget_at_home(struct checkout *c, struct failure *failure)
{
    if (!c->home)
        return 0;
    struct lockclient_forgotten all = {0};
    struct lockclient_error error = {0};
    int r = lockclient_forgotten(c->client, &all, &error);
    if (r < 0)
        return server_failure(failure, &c->source, r, &error);
    for (size_t at = 0; r == 0 && at < all.count;)
        r = forget_one(c, &all, at, &at);
    lockclient_forgotten_free(&all);
    r = r < 0 ? r : store_barrier(c->home);
    return r < 0 ? home_failure(c, r,
                                "it is done, but what its home has of it could not be removed (the "
                                "next isr prune or isr rm does that)",
                                failure)
                 : 0;
}

int versions_remove(struct checkout *c, struct failure *failure)
{
    struct lockclient_error error = {0};
    int r = lockclient_remove(c->client, c->source.parcel, c->uuid, &error);
    if (r < 0)
        return server_failure(failure, &c->source, r, &error);
    return forget_at_home(c, failure);
}

/* The versions that have a record at home. */
struct recorded {
    const struct checkout *c;
    uint64_t *numbers;
    size_t count;
};

static int collect(void *ctx, const char *name)
{
    struct recorded *all = ctx;
    uint64_t number;
    struct object_id catalog;
    if (!version_name_parse(name, &number, &catalog) ||
        (number == all->c->base_version && !object_id_equal(&catalog, &all->c->base.id)))
        return 0;
    uint64_t *grown = reallocarray(all->numbers, all->count + 1, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    all->numbers = grown;
    all->numbers[all->count++] = number;
    return 0;
}

static bool has(const uint64_t *numbers, size_t count, uint64_t number)
{
    for (size_t i = 0; i < count; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

static int record(struct checkout *c, uint64_t number, struct failure *failure)
{
    struct lockclient_keyroot *keyroot = NULL;
    struct lockclient_error error = {0};
    int r = lockclient_keyroot(c->client, c->source.parcel, number, &keyroot, &error);
    if (r < 0)
        return server_failure(failure, &c->source, r, &error);
    CLEANUP_CATALOG struct catalog *catalog = NULL;
    struct object_ref ref;
    struct version_seal seal = checkout_seal(c);
    memcpy(&ref.key, keyroot->keyroot, sizeof ref.key);
    memcpy(&ref.id, keyroot->keyroot + sizeof ref.key, sizeof ref.id);
    lockclient_keyroot_free(keyroot);
    r = catalog_load(c->home, c->codec, &ref, &catalog);
    r = r < 0 ? r : version_put(c->home, c->uuid, number, &ref, &seal);
    secret_wipe(&ref, sizeof ref);
    return r < 0 ? failure_set(failure, r == -ENOENT ? OUTCOME_DAMAGED : outcome_of(r),
                               "%s: nothing is pruned: version %" PRIu64
                               ", which stays, has no record at home and cannot get one: %s",
                               c->source.parcel, number, strerror(-r))
                 : 0;
}

/* Every version that stays gets its record at home if it has none, as one that a restored backup
 * has published: without it a collector of garbage would take its objects as soon as the versions
 * that it shares them with are gone. */
static int record_kept(struct checkout *c, const uint64_t *gone, size_t count,
                       struct failure *failure)
{
    char folder[64];
    struct lockclient_history history;
    struct lockclient_error error = {0};
    struct recorded all = {.c = c};
    bool put = false;
    int r = lockclient_history(c->client, c->source.parcel, &history, &error);
    if (r < 0)
        return server_failure(failure, &c->source, r, &error);
    snprintf(folder, sizeof folder, "versions/%s", c->uuid);
    r = store_each_record(c->home, folder, collect, &all);
    if (r < 0)
        home_failure(c, r, "its version records cannot be read at home", failure);
    for (size_t i = 0; r == 0 && i < history.count; i++) {
        uint64_t number = history.versions[i].number;
        if (has(gone, count, number) || has(all.numbers, all.count, number))
            continue;
        r = record(c, number, failure);
        put = true;
    }
    if (r == 0 && put && (r = store_barrier(c->home)) < 0)
        home_failure(c, r, "recording what stays at home failed", failure);
    free(all.numbers);
    lockclient_history_free(&history);
    return r;
}

int versions_prune(struct checkout *c, const uint64_t *numbers, size_t count,
                   struct failure *failure)
{
    struct lockclient_error error = {0};
    int r = record_kept(c, numbers, count, failure);
    if (r < 0)
        return r;
    r = count ? lockclient_prune(c->client, c->source.parcel, c->uuid, numbers, count, &error) : 0;
    if (r < 0)
        return server_failure(failure, &c->source, r, &error);
    return forget_at_home(c, failure);
}
