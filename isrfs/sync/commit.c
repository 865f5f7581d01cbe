/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who wants something kept queues a waiter. If nobody works, it takes turns itself, until nobody
 * waits: a turn takes the whole queue and serves all of it together, with a commit if one of them
 * asked for one, else with a batch of the journal and one flush. Who comes while a turn is under
 * way is not served by it (its moment may have been before the caller's changes), but by the next
 * one. So a caller need not wait where it calls: it may be answered by whoever took its turn.
 *
 * The keeper's thread asks when there were changes for a while, so that a daemon that is killed
 * loses little that nobody asked to be kept, and asks for a commit when the log is long, so that
 * replaying stays short. */
#include "isrfs/sync/commit.h"

#include <string.h>
#include <utlist.h>

#include "isrfs/base/clock.h"
#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/sync/damage.h"

#define KEEP_SECONDS 2
#define LOG_LONG     (256u << 20) /* bytes after which the keeper commits */

/* What a turn does: a batch; a commit of what needs nothing from the home; a commit of everything;
 * the same on a full disk. */
enum turn { TURN_SYNC, TURN_TIDY, TURN_COMMIT, TURN_RELIEF };

struct waiter {
    enum turn turn;  /* what is asked for */
    bool consistent; /* nothing is running, it says */
    committer_done *done;
    void *arg;
    struct waiter *next;
};

struct committer {
    struct checkout *checkout;
    struct parcel *parcel;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool busy;                    /* lock; somebody takes turns */
    struct waiter *queue;         /* lock; for the next turn */
    struct waiter *parked;        /* lock; until there is room */
    void (*need_room)(void *ctx); /* lock */
    void *room_ctx;               /* lock */
    uint64_t committed;           /* in a turn only: parcel_changes at the last commit */
    int said;                     /* likewise; why the last turn failed, as it was logged, or 0 */
    pthread_t keeper;
    pthread_cond_t wake;
    bool ending;                /* lock */
    _Atomic uint64_t log_bytes; /* of the log at the last commit */
    _Atomic uint64_t log_long;  /* bytes that may be added before the next one */
};

/* With the root's token, frozen. A commit that leaves much over is not soon worth repeating. */
static int commit_frozen(struct committer *m, bool whole, bool consistent)
{
    struct checkout *c = m->checkout;
    uint64_t changes = parcel_changes(m->parcel), before = site_log_bytes(m->checkout->log);
    bool was_partial = c->root.partial, same = changes == m->committed && !was_partial;
    bool needed = site_log_needs_root(c->log) || site_log_last_batch(c->log) > c->root.contains;
    if (same && (!consistent || c->root.consistent) && !needed)
        return 0; /* what is not consistent may have more in volatile files, or in a batch */
    struct site_root root = c->root;
    root.consistent = consistent;
    int r = parcel_flush(m->parcel, whole, &root);
    if (r == 0 && same && !root.partial && object_id_equal(&root.current.id, &c->root.current.id))
        root.consistent |= c->root.consistent;
    if (r == 0 && c->salvage)
        r = damage_tell_given_up(c, m->parcel);
    if (r == 0)
        r = checkout_root_put(c, &root);
    if (r == 0 && root.partial && !was_partial)
        log_info(
            "%s: a commit is waiting for a part of it that needs the home; until then that part "
            "stays in the site log",
            c->source.parcel);
    if (r == 0) {
        parcel_committed(m->parcel);
        m->committed = changes;
        m->log_bytes = site_log_bytes(m->checkout->log);
        m->log_long = LOG_LONG + (root.partial ? 2 * (m->log_bytes - before) : 0);
    }
    secret_wipe(&root, sizeof root);
    return r;
}

static int commit(struct committer *m, bool whole, bool consistent)
{
    int r = parcel_settle(m->parcel, false);
    if (r < 0)
        return r;
    checkout_root_take(m->checkout);
    parcel_freeze(m->parcel);
    r = commit_frozen(m, whole, consistent);
    parcel_thaw(m->parcel);
    checkout_root_give(m->checkout);
    if (r == 0)
        COUNT(&m->checkout->counters, commits, 1);
    return r;
}

/* On a full disk: objects go home at once. */
static int commit_by_home(struct committer *m)
{
    struct checkout *c = m->checkout;
    checkout_carried_take(c);
    store_put_again(c->home);
    parcel_set_overflow(m->parcel, c->home);
    site_log_set_urgent(c->log, true);
    int r = commit(m, true, false);
    site_log_set_urgent(c->log, false);
    parcel_set_overflow(m->parcel, NULL);
    checkout_carried_give(c);
    return r;
}

static int take_turn(struct committer *m, enum turn turn, bool consistent)
{
    int r = -EAGAIN;
    if (turn == TURN_RELIEF)
        return commit_by_home(m);
    if (turn == TURN_SYNC) {
        r = parcel_journal(m->parcel, consistent);
        r = r < 0 ? r : site_log_flush(m->checkout->log);
    }
    if (r == -EAGAIN)
        r = commit(m, turn == TURN_COMMIT, consistent);
    if (r < 0 && r != m->said)
        log_error("%s failed, what is changed is kept in memory: %s",
                  turn == TURN_SYNC ? "writing the journal" : "a commit", strerror(-r));
    m->said = r < 0 ? r : 0;
    return r;
}

/* What the most demanding of those waiters asks for, among what is less than LIMIT. */
static enum turn most(const struct waiter *queue, enum turn limit)
{
    enum turn turn = TURN_SYNC;
    for (const struct waiter *w = queue; w; w = w->next)
        if (w->turn > turn && w->turn < limit)
            turn = w->turn;
    return turn;
}

static void answer(struct waiter *w, int result)
{
    w->done(w->arg, result);
    free(w);
}

/* The disk is full: W waits until somebody has made room, if there is somebody, and W is not that.
 */
static bool park(struct committer *m, struct waiter *w)
{
    LOCK_SCOPE(&m->lock);
    if (!m->need_room || w->turn == TURN_RELIEF)
        return false;
    LL_PREPEND(m->parked, w);
    m->need_room(m->room_ctx);
    return true;
}

/* One turn for all of them, who are freed. A commit that failed may have kept nothing: who asked
 * for less gets a turn that does less. */
static void serve(struct committer *m, struct waiter *queue)
{
    enum turn turn = most(queue, TURN_RELIEF + 1), less = turn;
    struct waiter *w, *next;
    bool consistent = false;
    LL_FOREACH(queue, w)
    consistent |= w->consistent;
    int r = take_turn(m, turn, consistent), r_less = r;
    if (r < 0 && turn > TURN_SYNC) {
        less = most(queue, turn);
        r_less = take_turn(m, less, consistent);
    }
    LL_FOREACH_SAFE(queue, w, next)
    {
        int result = w->turn > less ? r : r_less;
        if (!io_is_full(result) || !park(m, w))
            answer(w, result);
    }
}

/* With the lock held: takes turns until nobody waits, unless somebody does so already. */
static void take_turns(struct committer *m)
{
    if (m->busy)
        return;
    m->busy = true;
    while (m->queue) {
        struct waiter *queue = steal_ptr(m->queue);
        pthread_mutex_unlock(&m->lock);
        serve(m, queue);
        pthread_mutex_lock(&m->lock);
    }
    m->busy = false;
}

static int ask(struct committer *m, enum turn turn, bool consistent, committer_done *done,
               void *arg)
{
    struct waiter *w = malloc(sizeof *w);
    if (!w)
        return -ENOMEM;
    *w = (struct waiter){.turn = turn, .consistent = consistent, .done = done, .arg = arg};
    LOCK_SCOPE(&m->lock);
    LL_PREPEND(m->queue, w);
    take_turns(m);
    return 0;
}

struct reply {
    struct committer *committer;
    bool come;  /* lock */
    int result; /* lock */
};

static void take_reply(void *arg, int result)
{
    struct reply *reply = arg;
    struct committer *m = reply->committer;
    LOCK_SCOPE(&m->lock);
    reply->come = true;
    reply->result = result;
    pthread_cond_broadcast(&m->done);
}

static int ask_and_wait(struct committer *m, enum turn turn, bool consistent)
{
    struct reply reply = {.committer = m};
    int r = ask(m, turn, consistent, take_reply, &reply);
    if (r < 0)
        return r;
    LOCK_SCOPE(&m->lock);
    while (!reply.come)
        pthread_cond_wait(&m->done, &m->lock);
    return reply.result;
}

int committer_sync(struct committer *m, bool consistent)
{
    return ask_and_wait(m, TURN_SYNC, consistent);
}

int committer_sync_later(struct committer *m, committer_done *done, void *arg)
{
    return ask(m, TURN_SYNC, false, done, arg);
}

int committer_commit(struct committer *m, bool consistent)
{
    int r = parcel_settle(m->parcel, true);
    if (r < 0 && !io_is_full(r)) { /* for a full disk something is done in the turn */
        log_error("what a commit needs cannot be fetched: %s", strerror(-r));
        return r;
    }
    return ask_and_wait(m, TURN_COMMIT, consistent);
}

/* The keeper's: what cannot be fetched now stays in the log. */
static int tidy(struct committer *m)
{
    parcel_settle(m->parcel, true);
    return ask_and_wait(m, TURN_TIDY, false);
}

int committer_relieve(struct committer *m)
{
    return ask_and_wait(m, TURN_RELIEF, false);
}

void committer_set_room(struct committer *m, void (*need_room)(void *ctx), void *ctx)
{
    LOCK_SCOPE(&m->lock);
    m->need_room = need_room;
    m->room_ctx = ctx;
}

void committer_room(struct committer *m, int result)
{
    pthread_mutex_lock(&m->lock);
    struct waiter *parked = steal_ptr(m->parked);
    if (result == 0) {
        LL_CONCAT(m->queue, parked);
        parked = NULL;
        take_turns(m);
    }
    pthread_mutex_unlock(&m->lock);
    struct waiter *w, *next;
    LL_FOREACH_SAFE(parked, w, next)
    answer(w, result);
}

/* Waits KEEP_SECONDS or until the end, which it returns. */
static bool rest(struct committer *m)
{
    int64_t until = clock_ms() + 1000 * KEEP_SECONDS;
    LOCK_SCOPE(&m->lock);
    while (!m->ending && clock_wait(&m->wake, &m->lock, until))
        ;
    return m->ending;
}

static void *keep(void *arg)
{
    struct committer *m = arg;
    uint64_t kept = 0, tried = 0;
    while (!rest(m)) {
        uint64_t changes = parcel_changes(m->parcel), bytes = site_log_bytes(m->checkout->log);
        bool is_long = bytes > m->log_bytes + m->log_long && bytes > tried + LOG_LONG / 4;
        if (is_long)
            tried = tidy(m) == 0 ? 0 : bytes;
        else if (changes != kept && committer_sync(m, false) == 0)
            kept = changes;
    }
    return NULL;
}

struct committer *committer_new(struct checkout *c, struct parcel *p)
{
    struct committer *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->checkout = c;
    m->parcel = p;
    m->log_bytes = site_log_bytes(m->checkout->log);
    m->log_long = LOG_LONG;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->done, NULL);
    clock_cond_init(&m->wake);
    if (pthread_create(&m->keeper, NULL, keep, m) != 0) {
        m->ending = true;
        committer_free(m);
        return NULL;
    }
    return m;
}

void committer_free(struct committer *m)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    bool running = !m->ending;
    m->ending = true;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->lock);
    if (running)
        pthread_join(m->keeper, NULL);
    pthread_cond_destroy(&m->wake);
    pthread_cond_destroy(&m->done);
    pthread_mutex_destroy(&m->lock);
    free(m);
}
