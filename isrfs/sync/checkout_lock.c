/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The nonce is made and stored before the lock server hears of it, so that a crash or a lost reply
 * at any point leaves something to ask with. What the server says of a stored nonce decides:
 *
 *   unknown    it never arrived: acquire with it now
 *   held       go on
 *   published, released   the check-out has ended: remove what is left of it here, unless there is
 *                         more than was published (a request that came late): then all is kept
 *   broken     somebody took the lock away: all work is kept, nothing can be published
 *
 * What was made a parcel of its own (checkin_as.h) has ended too, whatever the server says. */
#include "isrfs/sync/checkout_lock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/sync/checkin_as.h"
#include "isrfs/sync/server.h"

#define NONCE_FILE    "nonce"
#define ACQUIRE_TRIES 5

static const char *parcel_name(const struct checkout *c)
{
    return c->source.parcel;
}

/* The stored nonce, or NULL. */
static int read_nonce(struct checkout *c, struct failure *failure)
{
    CLEANUP_BUFFER struct buffer text = {0};
    int r = io_read_file(c->state_fd, NONCE_FILE, LOCKCLIENT_NONCE_SIZE, &text);
    if (r == -ENOENT)
        return 0;
    r = r < 0 ? r : buffer_terminate(&text);
    if (r == 0) {
        char *line = (char *)text.data;
        line[strcspn(line, "\n")] = '\0';
        if (!lockclient_nonce_valid(line))
            return failure_set(failure, OUTCOME_DAMAGED, "%s: the file %s/%s is damaged",
                               parcel_name(c), c->state_path, NONCE_FILE);
        c->nonce = strdup(line);
        r = c->nonce ? 0 : -ENOMEM;
    }
    return r == 0 ? 0
                  : failure_set(failure, OUTCOME_FAILED, "%s: cannot read %s/%s: %s",
                                parcel_name(c), c->state_path, NONCE_FILE, strerror(-r));
}

int checkout_lock_site(struct checkout *c, const struct site *site, bool existing,
                       struct failure *failure)
{
    c->state_path = site_parcel_path(site, &c->source);
    if (!c->state_path)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    int r = existing ? 0 : site_make_parcel_folder(site, &c->source);
    if (r == 0)
        c->state_fd = open(c->state_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (r == 0 && c->state_fd < 0)
        r = -errno;
    if (r == -ENOENT && existing)
        return failure_set(failure, OUTCOME_UNKNOWN, "%s is not checked out at this site",
                           parcel_name(c));
    if (r < 0)
        return failure_set(failure, OUTCOME_FAILED, "cannot use %s: %s", c->state_path,
                           strerror(-r));
    c->lock_fd = io_open_write(c->state_fd, "lock", O_NOFOLLOW, 0600);
    if (c->lock_fd < 0)
        return failure_set(failure, OUTCOME_FAILED, "cannot open %s/lock: %s", c->state_path,
                           strerror(-c->lock_fd));
    if (flock(c->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return failure_set(failure, OUTCOME_LOCKED,
                           "%s is in use at this site (mounted, or being checked in): see isr "
                           "status",
                           parcel_name(c));
    r = read_nonce(c, failure);
    if (r == 0 && existing && !c->nonce)
        return failure_set(failure, OUTCOME_UNKNOWN, "%s is not checked out at this site",
                           parcel_name(c));
    return r;
}

static int forget_nonce(struct checkout *c)
{
    int r = io_unlink(c->state_fd, NONCE_FILE);
    free(steal_ptr(c->nonce));
    return r < 0 && r != -ENOENT ? r : io_fsync_dir(c->state_fd, ".");
}

static int store_nonce(struct checkout *c, const char *nonce)
{
    char line[LOCKCLIENT_NONCE_SIZE + 1];
    int size = snprintf(line, sizeof line, "%s\n", nonce);
    int r = io_replace(c->state_fd, NONCE_FILE, line, (size_t)size, 0600, true);
    if (r < 0)
        return r;
    c->nonce = strdup(nonce);
    return c->nonce ? 0 : -ENOMEM;
}

static int held_elsewhere(struct checkout *c, const struct lockclient_holder *holder,
                          struct failure *failure)
{
    char when[64] = "an unknown time";
    time_t since = (time_t)holder->since;
    struct tm tm;
    if (holder->since && localtime_r(&since, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S %z", &tm);
    return failure_set(failure, OUTCOME_LOCKED,
                       "%s is checked out by %s at %s since %s (check it in there, or: isr "
                       "break-lock %s)",
                       parcel_name(c), *holder->user ? holder->user : "someone", holder->site, when,
                       parcel_name(c));
}

/* Acquires with c->nonce. -ESTALE asks for a new nonce. */
static int acquire(struct checkout *c, uint8_t *session, struct failure *failure)
{
    struct lockclient_lock *lock = NULL;
    struct lockclient_holder holder = {0};
    struct lockclient_error error = {0};
    int r = lockclient_acquire(c->client, parcel_name(c), c->nonce, &lock, &holder, &error);
    if (r == 0) {
        memcpy(session, lock->session, sizeof lock->session);
        c->base_version = c->server_version = lock->version;
        lockclient_lock_free(lock);
        c->fresh = true;
        return 0;
    }
    if (r == -EBUSY)
        return held_elsewhere(c, &holder, failure);
    server_failure(failure, &c->source, r, &error);
    return r;
}

static int make_nonce(struct checkout *c, uint64_t version, uint64_t epoch, struct failure *failure)
{
    char nonce[LOCKCLIENT_NONCE_SIZE];
    int r = lockclient_make_nonce(version, epoch, nonce);
    r = r < 0 ? r : store_nonce(c, nonce);
    return r < 0 ? failure_set(failure, OUTCOME_FAILED, "cannot write %s/%s: %s", c->state_path,
                               NONCE_FILE, strerror(-r))
                 : 0;
}

/* A first check-out. The parcel may get a new version between asking for its number and asking for
 * the lock: then ask again. */
static int acquire_new(struct checkout *c, struct lockclient_parcel_cfg cfg, uint8_t *session,
                       struct failure *failure)
{
    for (int i = 0;; i++) {
        int r = make_nonce(c, cfg.version, cfg.epoch, failure);
        r = r < 0 ? r : acquire(c, session, failure);
        if (r == 0)
            return 0;
        /* without an answer the lock may be ours: the nonce is what to ask with next time */
        if (r != -EHOSTUNREACH && r != -EBADMSG)
            forget_nonce(c);
        if (r != -ESTALE || i == ACQUIRE_TRIES)
            return r;
        struct lockclient_error error = {0};
        r = lockclient_parcel_cfg(c->client, parcel_name(c), &cfg, &error);
        if (r < 0)
            return server_failure(failure, &c->source, r, &error);
    }
}

/* Is there work in the log that is not in what was published? A request that a lost connection left
 * under way may give the lock back after this site has gone on. 1, 0 or negative. */
static int has_more(struct checkout *c, const struct lockclient_check *check,
                    struct failure *failure)
{
    if (faccessat(c->state_fd, "log", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        return 0;
    int r = check->has_session ? checkout_open_log(c, check->session, failure) : 1;
    if (r != 0)
        return r;
    struct site_root root;
    if (c->found.batches > 0 || site_log_newest_root(c->log, &root) < 0)
        return c->found.batches > 0;
    bool published = check->state == LOCKCLIENT_PUBLISHED && check->version > root.base_version &&
                     !object_id_is_hole(&root.publishing.id);
    bool more = !object_id_equal(&root.current.id, published ? &root.publishing.id : &root.base.id);
    secret_wipe(&root, sizeof root);
    return more;
}

static int ended(struct checkout *c, const struct lockclient_check *check, const char *own_name,
                 struct failure *failure)
{
    int r = checkout_forget(c);
    if (r < 0)
        return failure_set(failure, OUTCOME_FAILED, "cannot clean %s: %s", c->state_path,
                           strerror(-r));
    if (own_name)
        failure_set(failure, OUTCOME_DONE, "the changes to %s were checked in as the parcel %s",
                    parcel_name(c), own_name);
    else if (check->state == LOCKCLIENT_PUBLISHED)
        failure_set(failure, OUTCOME_DONE, "%s was checked in as version %" PRIu64, parcel_name(c),
                    check->version);
    else
        failure_set(failure, OUTCOME_DONE, "%s was given back without changes", parcel_name(c));
    return -EALREADY;
}

/* What this check-out held is a parcel of its own by now; giving the lock back was not reached. */
static int ended_as_own(struct checkout *c, const struct lockclient_check *check, const char *name,
                        struct failure *failure)
{
    struct lockclient_error error = {0};
    int r = check->state == LOCKCLIENT_HELD
                ? lockclient_release(c->client, parcel_name(c), c->nonce, &error)
                : 0;
    if (r < 0 && r != -EKEYREVOKED)
        return server_failure(failure, &c->source, r, &error);
    return ended(c, check, name, failure);
}

/* The version that a nonce was made for: its second number. */
static uint64_t nonce_base(const char *nonce)
{
    const char *dash = strchr(nonce, '-');
    return dash ? strtoull(dash + 1, NULL, 10) : 0;
}

/* The lock is another's, or nobody's. */
static int take_up_lost(struct checkout *c, const struct lockclient_check *check, uint8_t *session,
                        struct failure *failure)
{
    const char *how = check->state == LOCKCLIENT_BROKEN ? "taken from this site"
                                                        : "given back before all was checked in";
    if (!(c->flags & CHECKOUT_LOST))
        return failure_set(failure, OUTCOME_LOCKED,
                           "the lock on %s was %s; the changes are kept: isr ci --as NEWNAME %s "
                           "makes a parcel of its own of them, isr discard %s throws them away",
                           parcel_name(c), how, parcel_name(c), parcel_name(c));
    c->lost = true;
    c->base_version = nonce_base(c->nonce);
    if (check->has_session) {
        memcpy(session, check->session, sizeof check->session);
        return 0;
    }
    c->stolen = true;
    if (c->flags & CHECKOUT_NO_LOG)
        return 0;
    return failure_set(failure, OUTCOME_LOCKED,
                       "the lock on %s was taken from this site as stolen: what it wrote can be "
                       "read nowhere any more (isr discard %s)",
                       parcel_name(c), parcel_name(c));
}

static int take_up(struct checkout *c, const struct lockclient_parcel_cfg *cfg,
                   const struct lockclient_check *check, uint8_t *session, struct failure *failure)
{
    CLEANUP_FREE char *own_name = NULL;
    int r = checkin_as_ended(c->state_fd, c->nonce, &own_name);
    if (r < 0)
        return failure_set(failure, outcome_of(r), "cannot read the notes in %s: %s", c->state_path,
                           strerror(-r));
    if (own_name)
        return ended_as_own(c, check, own_name, failure);
    switch (check->state) {
    case LOCKCLIENT_HELD:
        memcpy(session, check->session, sizeof check->session);
        c->base_version = c->server_version = check->version;
        return 0;
    case LOCKCLIENT_PUBLISHED:
    case LOCKCLIENT_RELEASED:
        r = has_more(c, check, failure);
        if (r == 0)
            return ended(c, check, NULL, failure);
        return r < 0 ? r : take_up_lost(c, check, session, failure);
    case LOCKCLIENT_UNKNOWN:
        r = acquire(c, session, failure);
        if (r != -ESTALE)
            return r;
        forget_nonce(c);
        return acquire_new(c, *cfg, session, failure);
    case LOCKCLIENT_BROKEN:
    default:
        return take_up_lost(c, check, session, failure);
    }
}

int checkout_lock_parcel(struct checkout *c, const struct lockclient_parcel_cfg *cfg,
                         uint8_t *session, struct failure *failure)
{
    if (!c->nonce)
        return acquire_new(c, *cfg, session, failure);
    struct lockclient_check *check = NULL;
    struct lockclient_error error = {0};
    int r = lockclient_check(c->client, parcel_name(c), c->nonce, &check, &error);
    if (r < 0)
        return server_failure(failure, &c->source, r, &error);
    r = take_up(c, cfg, check, session, failure);
    lockclient_check_free(check);
    return r;
}

void checkout_lock_abandon(struct checkout *c)
{
    struct lockclient_error error = {0};
    int r = lockclient_release(c->client, parcel_name(c), c->nonce, &error);
    if (r < 0) {
        log_warning("%s: the lock could not be given back (%s): isr ci %s does it", parcel_name(c),
                    error.text, parcel_name(c));
        return;
    }
    checkout_forget(c);
}
