/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One thread works at a time. A caller who comes while it does is not served by it (its moment may
 * have been before the caller's changes), but by the next one, together with all others who wait.
 * Turns are counted: a caller waits until the one that began after its call has ended. A turn is a
 * commit if one of those who wait for it asked for one, else a batch of the journal and one flush.
 *
 * The keeper's thread takes a turn when there were changes for a while, so that a daemon that is
 * killed loses little that nobody asked to be kept, and commits when the log is long, so that
 * replaying stays short. */
#include "isrfs/sync/commit.h"

#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"

#define KEEP_SECONDS 2
#define LOG_LONG     (256u << 20) /* bytes after which the keeper commits */

enum turn { TURN_SYNC, TURN_SYNC_CONSISTENT, TURN_COMMIT, TURN_CONSISTENT };

struct committer {
    struct checkout *checkout;
    struct parcel *parcel;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool busy;             /* lock */
    uint64_t begun, ended; /* lock; turns */
    int result;            /* lock; of the last turn */
    enum turn result_turn; /* lock; what it was */
    enum turn wanted;      /* lock; the most that anybody who waits asked for */
    uint64_t committed;    /* in a turn only: parcel_changes at the last commit */
    pthread_t keeper;
    pthread_cond_t wake;
    bool ending;                /* lock */
    _Atomic uint64_t log_bytes; /* of the log at the last commit */
};

static uint64_t log_bytes(struct committer *m)
{
    uint64_t bytes, objects;
    site_log_usage(m->checkout->log, &bytes, &objects);
    return bytes;
}

/* With the root's token, frozen. */
static int commit_frozen(struct committer *m, bool consistent)
{
    struct checkout *c = m->checkout;
    uint64_t changes = parcel_changes(m->parcel);
    bool same = changes == m->committed;
    if (same && (!consistent || c->root.consistent))
        return 0;
    struct site_root root = c->root;
    root.consistent = consistent;
    int r = same ? 0 : parcel_flush(m->parcel, &root.current);
    if (r == 0)
        r = checkout_root_put(c, &root);
    if (r == 0) {
        parcel_committed(m->parcel);
        m->committed = changes;
        m->log_bytes = log_bytes(m);
    }
    secret_wipe(&root, sizeof root);
    return r;
}

static int commit(struct committer *m, bool consistent)
{
    int r = parcel_settle(m->parcel);
    if (r < 0)
        return r;
    checkout_root_take(m->checkout);
    parcel_freeze(m->parcel);
    r = commit_frozen(m, consistent);
    parcel_thaw(m->parcel);
    checkout_root_give(m->checkout);
    if (r == 0)
        COUNT(&m->checkout->counters, commits, 1);
    return r;
}

static int take_turn(struct committer *m, enum turn turn)
{
    int r = -EAGAIN;
    bool consistent = turn == TURN_SYNC_CONSISTENT || turn == TURN_CONSISTENT;
    if (turn <= TURN_SYNC_CONSISTENT) {
        r = parcel_journal(m->parcel, consistent);
        r = r < 0 ? r : site_log_flush(m->checkout->log);
    }
    if (r == -EAGAIN)
        r = commit(m, consistent);
    if (r < 0)
        log_error("%s failed, what is changed is kept in memory: %s",
                  turn <= TURN_SYNC_CONSISTENT ? "writing the journal" : "a commit", strerror(-r));
    return r;
}

static int wait_turn(struct committer *m, enum turn turn)
{
    LOCK_SCOPE(&m->lock);
    uint64_t wanted = m->begun + 1;
    if (turn > m->wanted)
        m->wanted = turn;
    for (;;) {
        /* a commit that failed may have kept nothing; but who only asked for that gets its own turn
         */
        if (m->ended >= wanted && (m->result == 0 || m->result_turn == turn))
            return m->result;
        if (m->busy) {
            pthread_cond_wait(&m->done, &m->lock);
            continue;
        }
        enum turn now = m->ended >= wanted ? turn : m->wanted;
        m->wanted = TURN_SYNC;
        m->busy = true;
        m->begun++;
        pthread_mutex_unlock(&m->lock);
        int r = take_turn(m, now);
        pthread_mutex_lock(&m->lock);
        m->busy = false;
        m->ended = m->begun;
        m->result = r;
        m->result_turn = now;
        pthread_cond_broadcast(&m->done);
    }
}

int committer_sync(struct committer *m, bool consistent)
{
    return wait_turn(m, consistent ? TURN_SYNC_CONSISTENT : TURN_SYNC);
}

int committer_commit(struct committer *m, bool consistent)
{
    return wait_turn(m, consistent ? TURN_CONSISTENT : TURN_COMMIT);
}

/* Waits KEEP_SECONDS or until the end, which it returns. */
static bool rest(struct committer *m)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += KEEP_SECONDS;
    LOCK_SCOPE(&m->lock);
    while (!m->ending)
        if (pthread_cond_timedwait(&m->wake, &m->lock, &until) == ETIMEDOUT)
            break;
    return m->ending;
}

static void *keep(void *arg)
{
    struct committer *m = arg;
    uint64_t kept = 0, tried = 0;
    while (!rest(m)) {
        uint64_t changes = parcel_changes(m->parcel), bytes = log_bytes(m);
        bool is_long = bytes > m->log_bytes + LOG_LONG && bytes > tried + LOG_LONG / 4;
        if (is_long)
            tried = committer_commit(m, false) == 0 ? 0 : bytes;
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
    m->log_bytes = log_bytes(m);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->done, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&m->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
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
