/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Putting a check-out together, in the one order in which nothing is done in vain: ask the lock
 * server what the parcel is, lock this site's state, open the home, get the lock, then keys, log
 * and stack. What was got is released in the reverse order by checkout_close; a lock that was
 * acquired in this very call is given back.
 *
 * Only here stands which stores a parcel is read from, and in which order. */
#include "isrfs/sync/checkout.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "isrfs/base/clock.h"
#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/store/stack.h"
#include "isrfs/sync/checkout_lock.h"
#include "isrfs/sync/damage.h"
#include "isrfs/sync/event.h"
#include "isrfs/sync/hold.h"
#include "isrfs/sync/home.h"
#include "isrfs/sync/seen.h"
#include "isrfs/sync/server.h"
#include "isrfs/sync/version.h"

#define WORKERS 4
#define QUEUE   256

#define LOG       "log"
#define ENDED_LOG "log.ended"

static int copy_source(struct checkout *c, const struct source *source)
{
    c->source = (struct source){.server = strdup(source->server),
                                .user = strdup(source->user),
                                .parcel = strdup(source->parcel),
                                .version = source->version};
    return c->source.server && c->source.user && c->source.parcel ? 0 : -ENOMEM;
}

/* Each segment of the log keeps a descriptor. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int open_tools(struct checkout *c, const struct site *site, struct failure *failure)
{
    struct codec_settings settings;
    if (site_codec_settings(site, &settings) < 0)
        return failure_set(failure, OUTCOME_FAILED, "the compression settings in isr.conf are bad");
    raise_descriptor_limit();
    c->codec = codec_new(&settings);
    c->pool = pool_new(WORKERS, QUEUE);
    c->secret = secret_alloc(sizeof *c->secret);
    if (!c->codec || !c->pool || !c->secret)
        return failure_set(failure, OUTCOME_FAILED, "cannot set up codec and workers: %s",
                           strerror(errno));
    return 0;
}

/* What the lock server says of the parcel. */
static int ask(struct checkout *c, const struct site *site, struct lockclient_parcel_cfg *cfg,
               struct failure *failure)
{
    int r = server_open(site, &c->source, false, &c->client, failure);
    if (r < 0)
        return r;
    struct lockclient_error error = {0};
    r = lockclient_parcel_cfg(c->client, c->source.parcel, cfg, &error);
    if (r < 0)
        return server_failure(failure, &c->source, r, &error);
    memcpy(c->uuid, cfg->uuid, sizeof c->uuid);
    c->src = strdup(cfg->src);
    return c->src ? 0 : failure_set(failure, OUTCOME_FAILED, "out of memory");
}

static int away(struct checkout *c, int error, struct failure *failure)
{
    return failure_set(failure, OUTCOME_UNREACHABLE,
                       "the home of %s is not reachable: %s (is it mounted? %s)", c->source.parcel,
                       c->src, strerror(-error));
}

static int open_home(struct checkout *c, const struct site *site,
                     const struct lockclient_parcel_cfg *cfg, unsigned flags,
                     struct failure *failure)
{
    const char *path = home_folder(c->src, failure);
    if (!path)
        return -EPROTONOSUPPORT;
    bool read_only = (flags & CHECKOUT_READ_ONLY) && !(flags & CHECKOUT_RECORDS);
    struct home_limits limits;
    int r = home_limits(site, &limits, failure);
    if (r < 0)
        return r;
    c->home_wait_ms = limits.wait_ms;
    struct folder_config config = {.path = path,
                                   .uuid = cfg->store,
                                   .read_only = read_only,
                                   .codec = c->codec,
                                   .counters = &c->counters,
                                   .pool = c->pool};
    r = home_open(&config, &limits, NULL, &c->home, NULL);
    if (r == 0 || (flags & CHECKOUT_NO_HOME && r == -EHOSTDOWN))
        return 0;
    if (r == -EHOSTDOWN && flags & CHECKOUT_HOME_LATER && c->nonce) {
        c->home_error = r;
        r = home_open_later(&config, &limits, &c->home);
    }
    return r == 0 ? 0 : away(c, r, failure);
}

/* The catalog's key and id, and the secret. */
static int get_keys(struct checkout *c, uint64_t version, struct failure *failure)
{
    struct lockclient_keyroot *keyroot = NULL;
    struct lockclient_error error = {0};
    int r = lockclient_keyroot(c->client, c->source.parcel, version, &keyroot, &error);
    if (r < 0)
        return server_failure(failure, &c->source, r, &error);
    memcpy(&c->base.key, keyroot->keyroot, sizeof c->base.key);
    memcpy(&c->base.id, keyroot->keyroot + sizeof c->base.key, sizeof c->base.id);
    memcpy(c->secret, keyroot->secret, sizeof *c->secret);
    memcpy(c->recovery, keyroot->recovery, sizeof c->recovery);
    c->has_recovery = keyroot->has_recovery;
    c->base_version = keyroot->version;
    lockclient_keyroot_free(keyroot);
    return 0;
}

int checkout_open_log(struct checkout *c, const uint8_t *session, struct failure *failure)
{
    CLEANUP_FREE char *identity = NULL;
    if (asprintf(&identity, "%s %s", c->uuid, c->nonce) < 0) {
        identity = NULL;
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    }
    struct site_log_config config = {
        .dirfd = c->state_fd,
        .folder = LOG,
        .session_key = session,
        .identity = identity,
        .codec = c->codec,
        .counters = &c->counters,
    };
    int r = site_log_open(&config, &c->log, &c->found);
    if (r == -EBADMSG) { /* said where; what can be read is read, and damage.h says what it hurts */
        c->damaged = config.salvage = true;
        config.give_up = c->flags & CHECKOUT_ACCEPT_LOSS && !(c->flags & CHECKOUT_NO_LOG);
        r = site_log_open(&config, &c->log, &c->found);
    }
    if (r == -EBADMSG && c->flags & CHECKOUT_NO_LOG)
        return 0;
    if (r == -EBADMSG)
        return failure_set(failure, OUTCOME_DAMAGED,
                           "%s: nothing in the site log in %s/log can be read: it is damaged, or "
                           "the lock server gave another key (isr discard %s gives it up)",
                           c->source.parcel, c->state_path, c->source.parcel);
    if (r < 0)
        return failure_set(failure, OUTCOME_FAILED, "%s: cannot open the site log in %s/log: %s",
                           c->source.parcel, c->state_path, strerror(-r));
    return 0;
}

/* The newest state: the newest root of the log, or the version that was checked out. */
static void find_root(struct checkout *c)
{
    if (c->log && site_log_newest_root(c->log, &c->root) == 0) {
        c->base_version = c->root.base_version;
        c->base = c->root.base;
        return;
    }
    c->root = (struct site_root){
        .base_version = c->base_version, .base = c->base, .current = c->base, .consistent = true};
}

/* Every check-out has a record at home by which it is seen to be there. */
static int watch_home(struct checkout *c)
{
    char record[VERSION_NAME_SIZE];
    version_name(record, c->uuid, c->base_version, &c->base.id);
    struct home_watch_config config = {
        .home = c->home, .away = c->home_error, .record = record, .interrupt = home_interrupt};
    return home_watch_new(&config, &c->watch);
}

static int open_stack(struct checkout *c, struct failure *failure)
{
    struct store *stores[2];
    size_t count = 0;
    if (c->log)
        stores[count++] = site_log_store(c->log);
    if (c->home && watch_home(c) < 0)
        return failure_set(failure, OUTCOME_FAILED, "cannot start a thread");
    if (c->home)
        stores[count++] = home_watch_store(c->watch);
    c->stack = stack_new(c->codec, &c->counters, stores, count);
    return c->stack ? 0 : failure_set(failure, OUTCOME_FAILED, "out of memory");
}

/* What `isr status` can say without a lock server. */
static int write_cfg(struct checkout *c)
{
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    CLEANUP_BUFFER struct buffer text = {0};
    CLEANUP_FREE char *src = percent_encode(c->src), *server = percent_encode(c->source.server);
    if (!kv || !src || !server)
        return -ENOMEM;
    int r = keyvalue_set(kv, "PARCEL", c->source.parcel);
    r = r < 0 ? r : keyvalue_set(kv, "USER", c->source.user);
    r = r < 0 ? r : keyvalue_set(kv, "LOCKSRV", server);
    r = r < 0 ? r : keyvalue_set(kv, "UUID", c->uuid);
    r = r < 0 ? r : keyvalue_set(kv, "SRC", src);
    r = r < 0 ? r : keyvalue_set_u64(kv, "VERSION", c->base_version);
    r = r < 0 ? r : keyvalue_format(kv, &text);
    return r < 0 ? r : io_update(c->state_fd, "parcel.cfg", text.data, text.size, 0600);
}

/* A first check-out proves that the home can be written, by the record that it needs there anyway.
 */
static int put_first_hold(struct checkout *c, struct failure *failure)
{
    if (!c->fresh || !c->home)
        return 0;
    int r = hold_put(c->home, c->codec, c->uuid, c->nonce, &c->base.id);
    r = r < 0 ? r : store_barrier(c->home);
    if (r == 0)
        return 0;
    return failure_set(failure, OUTCOME_UNREACHABLE, "the home of %s cannot be written: %s: %s",
                       c->source.parcel, c->src, strerror(-r));
}

static int open_read_only(struct checkout *c, const struct site *site, unsigned flags,
                          struct failure *failure)
{
    struct lockclient_parcel_cfg cfg;
    int r = ask(c, site, &cfg, failure);
    r = r < 0 ? r : open_home(c, site, &cfg, flags, failure);
    r = r < 0 ? r : get_keys(c, c->source.version, failure);
    if (r < 0)
        return r;
    if (!c->source.version)
        seen_warn(site, c, cfg.epoch);
    find_root(c);
    return open_stack(c, failure);
}

static int open_locked(struct checkout *c, const struct site *site,
                       const struct lockclient_parcel_cfg *cfg, unsigned flags,
                       struct failure *failure)
{
    CLEANUP_SECRET uint8_t *session = secret_alloc(LOCKCLIENT_SECRET_SIZE);
    if (!session)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    int r = open_home(c, site, cfg, flags, failure);
    r = r < 0 ? r : checkout_lock_parcel(c, cfg, session, failure);
    r = r < 0 ? r : get_keys(c, c->base_version, failure);
    bool pruned = r == -ENOENT && c->lost; /* the secret is in every version, the base in the log */
    if (pruned)
        r = get_keys(c, 0, failure);
    if (r == 0 && !c->lost)
        r = seen_check(c, cfg->epoch, flags & CHECKOUT_ACCEPT_OLDER, failure);
    if (r == 0 && !c->stolen && !c->log)
        r = checkout_open_log(c, session, failure);
    if (r < 0)
        return r;
    if (pruned && c->log && site_log_newest_root(c->log, &c->root) < 0)
        return failure_set(failure, OUTCOME_UNKNOWN,
                           "%s: the version that this site's changes go back to is there no more",
                           c->source.parcel);
    find_root(c);
    if (c->home_error && !(c->log && store_has(site_log_store(c->log), &c->root.current.id) > 0))
        return away(c, c->home_error, failure);
    c->salvage = c->flags & CHECKOUT_ACCEPT_LOSS;
    r = open_stack(c, failure);
    r = r < 0 || !c->damaged ? r : damage_check(c, failure);
    r = r < 0 ? r : put_first_hold(c, failure);
    if (r == 0 && (r = write_cfg(c)) < 0)
        return failure_set(failure, OUTCOME_FAILED, "cannot write %s/parcel.cfg: %s", c->state_path,
                           strerror(-r));
    if (r == 0 && c->home_error)
        log_warning(
            "%s: its home %s is away; what is at this site is served, the rest waits for it",
            c->source.parcel, c->src);
    return r;
}

static int open_writable(struct checkout *c, const struct site *site, unsigned flags,
                         struct failure *failure)
{
    bool existing = flags & CHECKOUT_EXISTING;
    struct lockclient_parcel_cfg cfg;
    /* a mere question must not leave a folder behind */
    int r = existing ? checkout_lock_site(c, site, true, failure) : 0;
    r = r < 0 ? r : ask(c, site, &cfg, failure);
    if (r == 0 && !existing)
        r = checkout_lock_site(c, site, false, failure);
    r = r < 0 ? r : open_locked(c, site, &cfg, flags, failure);
    if (r < 0 && c->fresh)
        checkout_lock_abandon(c);
    return r;
}

/* The check-in may run where there is no terminal: who had to type something is told now. */
static void warn_of_asking(const struct checkout *c, unsigned flags)
{
    if (!(flags & (CHECKOUT_READ_ONLY | CHECKOUT_EXISTING)) && lockclient_asked(c->client))
        log_warning("%s: logging in to the lock server took a passphrase or password; should the "
                    "connection break, unmounting cannot ask for it, and isr ci %s will have to "
                    "(ssh-add keeps a passphrase)",
                    c->source.parcel, c->source.parcel);
}

int checkout_open(const struct site *site, const struct source *source, unsigned flags,
                  struct checkout **ret, struct failure *failure)
{
    struct checkout *c = secret_alloc(sizeof *c); /* it holds keys */
    if (!c)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    c->state_fd = c->lock_fd = -1;
    c->flags = flags;
    c->events = event_wanted(site);
    int64_t began = clock_ms();
    pthread_mutex_init(&c->root_lock, NULL);
    pthread_cond_init(&c->root_free, NULL);
    int r = copy_source(c, source);
    r = r < 0 ? failure_set(failure, OUTCOME_FAILED, "out of memory")
              : open_tools(c, site, failure);
    if (r == 0)
        r = flags & CHECKOUT_READ_ONLY ? open_read_only(c, site, flags, failure)
                                       : open_writable(c, site, flags, failure);
    if (r < 0) {
        checkout_close(c);
        return r;
    }
    warn_of_asking(c, flags);
    if (c->events && c->fresh)
        event_send(&c->source, "checkout",
                   &(struct event_number){.name = "ms", .value = (uint64_t)(clock_ms() - began)},
                   1);
    *ret = c;
    return 0;
}

void checkout_close(struct checkout *c)
{
    if (!c)
        return;
    store_free(c->stack);
    site_log_close(c->log);
    home_watch_free(c->watch);
    store_free(c->home);
    lockclient_free(c->client);
    pool_free(c->pool);
    codec_free(c->codec);
    secret_free(c->secret);
    free(c->nonce);
    free(c->src);
    cleanup_close(&c->lock_fd);
    cleanup_close(&c->state_fd);
    free(c->state_path);
    source_free(&c->source);
    pthread_cond_destroy(&c->root_free);
    pthread_mutex_destroy(&c->root_lock);
    secret_free(c);
}

static void token_take(struct checkout *c, bool *token)
{
    LOCK_SCOPE(&c->root_lock);
    while (*token)
        pthread_cond_wait(&c->root_free, &c->root_lock);
    *token = true;
}

static void token_give(struct checkout *c, bool *token)
{
    LOCK_SCOPE(&c->root_lock);
    *token = false;
    pthread_cond_broadcast(&c->root_free);
}

void checkout_root_take(struct checkout *c)
{
    token_take(c, &c->root_busy);
}

void checkout_root_give(struct checkout *c)
{
    token_give(c, &c->root_busy);
}

void checkout_carried_take(struct checkout *c)
{
    token_take(c, &c->carried_busy);
}

void checkout_carried_give(struct checkout *c)
{
    token_give(c, &c->carried_busy);
}

const struct object_ref *checkout_carried(const struct checkout *c, const struct site_root *root)
{
    return object_id_is_hole(&c->carried.id) ? &root->base : &c->carried;
}

int checkout_root_put(struct checkout *c, const struct site_root *root)
{
    int r = site_log_put_root(c->log, root);
    r = r < 0 ? r : site_log_flush(c->log);
    if (r == 0)
        c->root = *root;
    return r;
}

int checkout_forget(struct checkout *c)
{
    if (c->home && c->nonce) {
        struct home_watch_state state = {0};
        if (c->watch)
            home_watch_state(c->watch, &state);
        int r = state.away ? -EHOSTDOWN : hold_remove(c->home, c->codec, c->uuid, c->nonce);
        if (r < 0)
            log_warning("%s: its hold at home could not be removed: %s", c->source.parcel,
                        strerror(-r));
    }
    static const char *const files[] = {"nonce", "own", "recovered"};
    /* at once, so that half a log is never taken for a damaged one */
    int r = site_log_remove(c->state_fd, ENDED_LOG);
    r = r < 0 ? r : io_rename(c->state_fd, LOG, c->state_fd, ENDED_LOG);
    r = r == 0 || r == -ENOENT ? io_fsync_dir(c->state_fd, ".") : r;
    r = r < 0 ? r : site_log_remove(c->state_fd, ENDED_LOG);
    for (size_t i = 0; r == 0 && i < sizeof files / sizeof *files; i++) {
        r = io_unlink(c->state_fd, files[i]);
        r = r == -ENOENT ? 0 : r;
    }
    return r < 0 ? r : io_fsync_dir(c->state_fd, ".");
}

void checkout_hurry(struct checkout *c)
{
    if (c->watch)
        home_watch_cancel(c->watch);
}

struct version_seal checkout_seal(const struct checkout *c)
{
    return (struct version_seal){.recovery = c->has_recovery ? c->recovery : NULL,
                                 .parcel = c->source.parcel};
}

int checkout_parcel(struct checkout *c, size_t cache_bytes, struct parcel **ret,
                    struct failure *failure)
{
    struct parcel_config config = {
        .codec = c->codec,
        .store = c->stack,
        .log = c->log,
        .secret = c->secret,
        .pool = c->pool,
        .counters = &c->counters,
        .cache_bytes = cache_bytes,
        .watch = c->watch,
        .home_wait_ms = c->home_wait_ms,
        .salvage = c->salvage,
        .base = &c->root.base,
        .consistent = c->root.consistent,
        .state_fd = c->log ? c->state_fd : 0,
    };
    c->parcel_opened = true;
    int r = parcel_open(&config, &c->root.current, ret);
    if (r == 0) {
        parcel_recovered(*ret, &c->recovered);
        return 0;
    }
    char hex[OBJECT_ID_HEX + 1];
    object_id_to_hex(&c->root.current.id, hex);
    enum outcome outcome = r == -ENOENT ? OUTCOME_DAMAGED : outcome_of(r);
    return failure_set(failure, outcome, "%s: its catalog %s %s", c->source.parcel, hex,
                       r == -ENOENT    ? "is missing at home"
                       : r == -EBADMSG ? "is damaged, or not for the key that the lock server gave"
                                       : strerror(-r));
}
