/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One round:
 *
 *   1. cut the log: what is put from now on lies behind the cut
 *   2. commit: a root behind the cut has everything that was done before it
 *   3. push what that root reaches and the last carried one does not; barrier
 *   4. hold: a collector at home keeps what the root reaches; barrier
 *   5. drop what lies before the cut
 *
 * When the disk is full, the first two use the space that was set aside, and objects go home at
 * once.
 *
 * A crash anywhere leaves a log that is longer than it need be. A file that was removed while it is
 * open is in no root, so nothing can be dropped until it is closed. A root that a check-in has
 * begun to publish must stay in the log: then, too, it waits; and if a commit beside it left
 * something over, which lies before the cut. */
#include "isrfs/sync/carrier.h"

#include <string.h>

#include "isrfs/base/clock.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/sync/hold.h"
#include "isrfs/sync/push.h"

#define LOOK_SECONDS  5
#define AGAIN_SECONDS 60 /* after a failure */

struct carrier {
    struct checkout *checkout;
    struct parcel *parcel;
    struct committer *committer;
    uint64_t limit;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool needed;       /* lock; the disk is full, somebody waits for room */
    _Atomic bool stop; /* set with lock */
    uint64_t boundary; /* the round's; of a cut behind which nothing was dropped yet, or 0 */
    bool said;         /* the round's; that it cannot be done */
};

/* Steps 3 and 4. */
static int bring_home(struct carrier *k, const struct site_root *root)
{
    struct checkout *c = k->checkout;
    struct push_result pushed;
    checkout_carried_take(c);
    struct push_request request = {
        .wanted = &root->current, .base = checkout_carried(c, root), .stop = &k->stop};
    int r = push(c, &request, &pushed);
    r = r < 0 ? r : hold_put(c->home, c->codec, c->uuid, c->nonce, &root->current.id);
    r = r < 0 ? r : store_barrier(c->home);
    if (r == 0) {
        c->carried = root->current;
        c->carried_bytes += pushed.bytes;
    }
    checkout_carried_give(c);
    return r;
}

/* Steps 1 and 2. */
static int cut_and_commit(struct carrier *k, bool full)
{
    struct site_log *log = k->checkout->log;
    site_log_set_urgent(log, full);
    int r = k->boundary ? 0 : site_log_cut(log, &k->boundary);
    site_log_set_urgent(log, false);
    if (r < 0)
        return r;
    return full ? committer_relieve(k->committer) : committer_commit(k->committer, false);
}

/* Steps 3 to 5. */
static int shorten(struct carrier *k)
{
    struct checkout *c = k->checkout;
    checkout_root_take(c);
    struct site_root root = c->root;
    checkout_root_give(c);
    bool fit = object_id_is_hole(&root.publishing.id) && !root.partial;
    int r = fit ? bring_home(k, &root) : -EAGAIN;
    secret_wipe(&root, sizeof root);
    r = r < 0 ? r : parcel_has_removed(k->parcel) ? -EAGAIN : site_log_drop(c->log, k->boundary);
    if (r == 0)
        k->boundary = 0;
    return r;
}

/* 0 also if nothing could be dropped: what is FULL's is that the commit was made. */
static int carry(struct carrier *k, bool full)
{
    if (!k->checkout->home)
        return -EHOSTDOWN;
    if (!full && parcel_has_removed(k->parcel))
        return -EAGAIN;
    int r = cut_and_commit(k, full);
    if (r < 0)
        return r;
    r = shorten(k);
    return full ? 0 : r;
}

static int carry_and_say(struct carrier *k, bool full)
{
    int r = carry(k, full);
    if (r < 0 && r != -ECANCELED && r != -EAGAIN && !k->said)
        log_warning("%s: what is changed cannot be brought home now: %s (the site log grows)",
                    k->checkout->source.parcel, strerror(-r));
    k->said = r < 0;
    return r;
}

static void need_room(void *ctx)
{
    struct carrier *k = ctx;
    LOCK_SCOPE(&k->lock);
    k->needed = true;
    pthread_cond_broadcast(&k->changed);
}

static int make_room(void *ctx)
{
    struct carrier *k = ctx;
    return committer_commit(k->committer, false);
}

enum event { EVENT_TIME, EVENT_NEEDED, EVENT_STOP };

static enum event rest(struct carrier *k, unsigned seconds)
{
    int64_t until = clock_ms() + 1000 * (int64_t)seconds;
    LOCK_SCOPE(&k->lock);
    while (!k->stop && !k->needed && clock_wait(&k->changed, &k->lock, until))
        ;
    enum event event = k->needed ? EVENT_NEEDED : k->stop ? EVENT_STOP : EVENT_TIME;
    k->needed = false;
    return event;
}

/* Who needs room and gets none is told that the disk is full, whatever the reason. */
static void *run(void *arg)
{
    struct carrier *k = arg;
    unsigned seconds = LOOK_SECONDS;
    for (enum event event; (event = rest(k, seconds)) != EVENT_STOP;) {
        bool full = event == EVENT_NEEDED;
        int r = full || site_log_bytes(k->checkout->log) > k->limit ? carry_and_say(k, full) : 0;
        seconds = r < 0 ? AGAIN_SECONDS : LOOK_SECONDS;
        if (full)
            committer_room(k->committer, r < 0 ? -ENOSPC : 0);
    }
    return NULL;
}

struct carrier *carrier_new(struct checkout *c, struct parcel *p, struct committer *m,
                            uint64_t limit)
{
    struct carrier *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->checkout = c;
    k->parcel = p;
    k->committer = m;
    k->limit = limit;
    pthread_mutex_init(&k->lock, NULL);
    clock_cond_init(&k->changed);
    if (pthread_create(&k->thread, NULL, run, k) != 0) {
        pthread_cond_destroy(&k->changed);
        pthread_mutex_destroy(&k->lock);
        free(k);
        return NULL;
    }
    committer_set_room(m, need_room, k);
    parcel_set_room(p, make_room, k);
    return k;
}

void carrier_free(struct carrier *k)
{
    if (!k)
        return;
    parcel_set_room(k->parcel, NULL, NULL);
    committer_set_room(k->committer, NULL, NULL);
    pthread_mutex_lock(&k->lock);
    k->stop = true;
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
    pthread_join(k->thread, NULL);
    pthread_cond_destroy(&k->changed);
    pthread_mutex_destroy(&k->lock);
    free(k);
}
