/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One thread commits at a time. A caller who comes while a commit runs is not served by it (it may
 * have frozen before the caller's changes), but by the next one, together with all others who wait.
 * Commits are counted: a caller waits until the one that began after its call has ended. */
#include "isrfs/sync/commit.h"

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"

#include <string.h>

struct committer {
    struct checkout *checkout;
    struct parcel *parcel;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool busy;             /* lock */
    uint64_t begun, ended; /* lock; commits */
    int result;            /* lock; of the last one that ended */
    bool want_consistent;  /* lock; someone who waits asked for it */
    uint64_t committed;    /* by the busy one only: parcel_changes at the last good commit */
};

struct committer *committer_new(struct checkout *c, struct parcel *p)
{
    struct committer *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->checkout = c;
    m->parcel = p;
    m->committed = parcel_changes(p);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->done, NULL);
    return m;
}

void committer_free(struct committer *m)
{
    if (!m)
        return;
    pthread_cond_destroy(&m->done);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

/* With the root's token. */
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
    if (r == 0)
        m->committed = changes;
    secret_wipe(&root, sizeof root);
    return r;
}

static int commit_once(struct committer *m, bool consistent)
{
    checkout_root_take(m->checkout);
    parcel_freeze(m->parcel);
    int r = commit_frozen(m, consistent);
    parcel_thaw(m->parcel);
    checkout_root_give(m->checkout);
    if (r < 0)
        log_error("a commit failed, its changes are kept in memory: %s", strerror(-r));
    else
        COUNT(&m->checkout->counters, commits, 1);
    return r;
}

int committer_commit(struct committer *m, bool consistent)
{
    LOCK_SCOPE(&m->lock);
    uint64_t wanted = m->begun + 1;
    m->want_consistent |= consistent;
    for (;;) {
        if (m->ended >= wanted)
            return m->result;
        if (m->busy) {
            pthread_cond_wait(&m->done, &m->lock);
            continue;
        }
        bool as_consistent = m->want_consistent;
        m->want_consistent = false;
        m->busy = true;
        m->begun++;
        pthread_mutex_unlock(&m->lock);
        int r = commit_once(m, as_consistent);
        pthread_mutex_lock(&m->lock);
        m->busy = false;
        m->ended++;
        m->result = r;
        pthread_cond_broadcast(&m->done);
    }
}
