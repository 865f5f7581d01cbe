/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file `rekey` in the parcel's state folder is there from before the first object is written
 * until all is done, and says which uuid was and which is to be. What the lock server says of the
 * parcel's uuid tells how far an earlier call came:
 *
 *   the old one   nothing is published: its new version record, if there is one, is removed, and
 * all begins again (the secret is kept nowhere but at the lock server, so what was written is of no
 * use and garbage) the new one   it is published: only the old version records are left to be
 * removed
 *
 * So, whatever happened: the records of each uuid in that file that is not the parcel's are
 * removed.
 */
#include "isrfs/sync/rekey.h"

#include <inttypes.h>
#include <string.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/sync/hold.h"
#include "isrfs/sync/rekey_file.h"
#include "isrfs/sync/seen.h"
#include "isrfs/sync/server.h"

#define STATE_FILE "rekey"

struct rekeying {
    struct checkout *c;
    const struct progress *progress;
    struct failure *failure;
    char uuid[LOCKCLIENT_UUID_SIZE]; /* the new one, */
    struct object_secret *secret;    /* the new one, */
    struct object_ref keyroot;       /* and the new catalog */
    uint64_t size;
    bool begun; /* the check-out is for this, now or by an earlier call */
    bool sent;  /* it may be published */
};

/* --- what is left at home --- */

struct record_names {
    char (*names)[96];
    size_t count;
};

static int collect(void *ctx, const char *name)
{
    struct record_names *list = ctx;
    if (strlen(name) >= sizeof *list->names)
        return 0;
    void *grown = reallocarray(list->names, list->count + 1, sizeof *list->names);
    if (!grown)
        return -ENOMEM;
    list->names = grown;
    strcpy(list->names[list->count++], name);
    return 0;
}

/* Its versions, and the hold of the check-out that rekeyed. */
static int remove_records(struct checkout *c, const char *uuid, const char *nonce)
{
    char path[160];
    struct record_names list = {0};
    snprintf(path, sizeof path, "versions/%s", uuid);
    int r = store_each_record(c->home, path, collect, &list);
    for (size_t i = 0; r == 0 && i < list.count; i++) {
        snprintf(path, sizeof path, "versions/%s/%s", uuid, list.names[i]);
        r = store_remove_record(c->home, path);
    }
    free(list.names);
    return r < 0 ? r : hold_remove(c->home, c->codec, uuid, nonce);
}

static int write_state(struct checkout *c, const char *new_uuid)
{
    CLEANUP_BUFFER struct buffer text = {0};
    int r = buffer_printf(&text, "OLD:=%s\nNEW:=%s\nNONCE:=%s\n", c->uuid, new_uuid, c->nonce);
    return r < 0 ? r : io_replace(c->state_fd, STATE_FILE, text.data, text.size, 0600, true);
}

static int forget_state(struct checkout *c)
{
    int r = io_unlink(c->state_fd, STATE_FILE);
    return r == -ENOENT ? 0 : r < 0 ? r : io_fsync_dir(c->state_fd, ".");
}

/* What an earlier call has left. *RET_PUBLISHED: its version is the parcel's. -ENOENT: there was
 * none. CURRENT is the parcel's uuid at the lock server. */
static int clean_up(struct checkout *c, const char *current, bool *ret_published)
{
    static const char *const allowed[] = {"OLD", "NEW", "NONCE", NULL};
    CLEANUP_BUFFER struct buffer text = {0};
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    *ret_published = false;
    int r = io_read_file(c->state_fd, STATE_FILE, 1024, &text);
    r = r < 0 ? r : keyvalue_parse(text.data, text.size, allowed, &kv, NULL);
    const char *nonce = r < 0 ? NULL : keyvalue_get(kv, "NONCE");
    if (r == 0 && (!nonce || !lockclient_nonce_valid(nonce)))
        return -EBADMSG;
    for (size_t i = 0; r == 0 && i < 2; i++) {
        const char *uuid = keyvalue_get(kv, allowed[i]);
        uint8_t bytes[(LOCKCLIENT_UUID_SIZE - 1) / 2];
        if (!uuid || hex_decode(bytes, sizeof bytes, uuid) < 0)
            return -EBADMSG;
        if (strcmp(uuid, current) != 0)
            r = remove_records(c, uuid, nonce);
        else
            *ret_published = i == 1;
    }
    return r < 0 ? r : store_barrier(c->home);
}

/* --- the objects --- */

static int new_keys(struct rekeying *k)
{
    uint8_t random[(LOCKCLIENT_UUID_SIZE - 1) / 2];
    k->secret = secret_alloc(sizeof *k->secret);
    int r = k->secret ? random_bytes(k->secret->bytes, sizeof k->secret->bytes) : -ENOMEM;
    r = r < 0 ? r : random_bytes(random, sizeof random);
    hex_encode(k->uuid, random, sizeof random);
    r = r < 0 ? r : write_state(k->c, k->uuid);
    return r < 0 ? failure_set(k->failure, OUTCOME_FAILED, "%s: rekeying cannot begin: %s",
                               k->c->source.parcel, strerror(-r))
                 : 0;
}

static int write_objects(struct rekeying *k, struct rekey_result *ret)
{
    struct checkout *c = k->c;
    CLEANUP_CATALOG struct catalog *catalog = NULL;
    CLEANUP_BUFFER struct buffer object = {0};
    struct rekey_target target = {.codec = c->codec,
                                  .pool = c->pool,
                                  .from = c->stack,
                                  .to = c->home,
                                  .secret = k->secret,
                                  .progress = k->progress};
    int r = catalog_load(c->stack, c->codec, &c->base, &catalog);
    if (r < 0)
        return failure_set(k->failure, outcome_of(r == -ENOENT ? -EBADMSG : r),
                           "%s: its catalog cannot be read: %s", c->source.parcel, strerror(-r));
    for (size_t i = 0; i < catalog->count; i++) {
        k->size += catalog->entries[i].size;
        r = catalog->entries[i].is_folder ? 0
                                          : rekey_file(&target, &catalog->entries[i], k->failure);
        if (r < 0)
            return r;
    }
    r = catalog_encode(c->codec, k->secret, catalog, &object, &k->keyroot);
    r = r < 0 ? r : store_put(c->home, &k->keyroot.id, object.data, object.size);
    r = r < 0 ? r : store_barrier(c->home);
    struct version_seal seal = checkout_seal(c);
    r = r < 0 ? r : version_put(c->home, k->uuid, c->base_version + 1, &k->keyroot, &seal);
    r = r < 0 ? r : store_barrier(c->home);
    ret->objects = target.objects + 1;
    ret->bytes = target.bytes + object.size;
    return r < 0 ? failure_set(k->failure, outcome_of(r), "the store cannot be written: %s",
                               strerror(-r))
                 : 0;
}

/* --- the one step --- */

static int publish(struct rekeying *k, const struct rekey_result *result)
{
    struct checkout *c = k->c;
    CLEANUP_SECRET uint8_t *keyroot = secret_alloc(LOCKCLIENT_KEYROOT_SIZE);
    if (!keyroot)
        return failure_set(k->failure, OUTCOME_FAILED, "out of memory");
    memcpy(keyroot, k->keyroot.key.bytes, sizeof k->keyroot.key.bytes);
    memcpy(keyroot + sizeof k->keyroot.key.bytes, k->keyroot.id.bytes, sizeof k->keyroot.id.bytes);
    struct lockclient_publish message = {.version = {.keyroot = keyroot,
                                                     .size = k->size,
                                                     .newbytes = result->bytes,
                                                     .comment = "rekeyed"},
                                         .base = c->base_version,
                                         .consistent = true,
                                         .release = true,
                                         .uuid = k->uuid,
                                         .secret = k->secret->bytes};
    struct lockclient_error error = {0};
    int r = lockclient_publish(c->client, c->source.parcel, c->nonce, &message, &error);
    if (r == -EHOSTUNREACH || r == -EBADMSG)
        r = lockclient_publish(c->client, c->source.parcel, c->nonce, &message, &error);
    k->sent = r != -EBUSY && r != -EKEYREVOKED && r != -ESTALE && r != -EINVAL;
    return r < 0 ? server_failure(k->failure, &c->source, r, &error) : 0;
}

/* Published: the old records go, and what this site kept of the check-out. */
static int finish(struct rekeying *k)
{
    struct checkout *c = k->c;
    bool published;
    int r = checkout_forget(c);
    memcpy(c->uuid, k->uuid, sizeof c->uuid);
    seen_note(c, c->base_version + 1, &k->keyroot.id);
    r = r < 0 ? r : clean_up(c, c->uuid, &published);
    r = r < 0 ? r : forget_state(c);
    return r < 0 ? failure_set(k->failure, outcome_of(r),
                               "%s is rekeyed, but its old version records at home are not yet "
                               "removed: %s (isr rekey %s does it)",
                               c->source.parcel, strerror(-r), c->source.parcel)
                 : 0;
}

static int anew(struct rekeying *k, struct rekey_result *ret)
{
    int r = new_keys(k);
    r = r < 0 ? r : write_objects(k, ret);
    r = r < 0 ? r : publish(k, ret);
    if (r < 0)
        return r;
    ret->version = k->c->base_version + 1;
    return finish(k);
}

static int give_back(struct checkout *c, struct failure *failure)
{
    struct lockclient_error error = {0};
    int r = lockclient_release(c->client, c->source.parcel, c->nonce, &error);
    if (r < 0 && r != -EKEYREVOKED) /* nothing is lost with a lock that was broken */
        return server_failure(failure, &c->source, r, &error);
    r = checkout_forget(c);
    return r < 0 ? failure_set(failure, OUTCOME_FAILED, "cannot clean %s: %s", c->state_path,
                               strerror(-r))
                 : 0;
}

static bool is_unchanged(const struct checkout *c)
{
    return c->found.batches == 0 && object_id_is_hole(&c->root.publishing.id) &&
           object_id_equal(&c->root.current.id, &c->base.id);
}

static int run(struct rekeying *k, struct rekey_result *ret)
{
    struct checkout *c = k->c;
    bool published;
    int r = clean_up(c, c->uuid, &published);
    k->begun = c->fresh || r != -ENOENT;
    if (!k->begun)
        return failure_set(k->failure, OUTCOME_LOCKED,
                           "%s is checked out at this site: check it in first (isr ci %s)",
                           c->source.parcel, c->source.parcel);
    if (r < 0 && r != -ENOENT)
        return failure_set(k->failure, outcome_of(r),
                           "%s: what an earlier rekeying left cannot be removed: %s",
                           c->source.parcel, strerror(-r));
    if (!is_unchanged(c)) {
        k->begun = false;
        return failure_set(k->failure, OUTCOME_LOCKED,
                           "%s was changed at this site: check it in first (isr ci %s)",
                           c->source.parcel, c->source.parcel);
    }
    if (published) {
        ret->version = c->base_version;
        r = forget_state(c);
        return r < 0 ? failure_set(k->failure, OUTCOME_FAILED, "cannot clean %s: %s", c->state_path,
                                   strerror(-r))
                     : give_back(c, k->failure);
    }
    return anew(k, ret);
}

/* After a failure the lock goes back, unless it is somebody else's business or the new version may
 * be published: then the next call finds out. */
static void give_up(struct rekeying *k)
{
    struct failure ignored;
    bool published;
    if (!k->begun || k->sent)
        return;
    int r = clean_up(k->c, k->c->uuid, &published);
    if ((r == 0 || r == -ENOENT) && forget_state(k->c) == 0)
        give_back(k->c, &ignored);
}

int rekey(const struct site *site, const struct source *source, const struct progress *progress,
          struct rekey_result *ret, struct failure *failure)
{
    struct rekeying k = {.progress = progress, .failure = failure};
    *ret = (struct rekey_result){0};
    int r = checkout_open(site, source, 0, &k.c, failure);
    if (r == -EALREADY) /* an earlier call was cut off after its end at the lock server */
        r = checkout_open(site, source, 0, &k.c, failure);
    if (r < 0)
        return r;
    r = run(&k, ret);
    if (r < 0)
        give_up(&k);
    secret_wipe(&k.keyroot, sizeof k.keyroot);
    secret_free(k.secret);
    checkout_close(k.c);
    return r;
}
