/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fetching what a commit will need, from the moment of the write that makes it needed: the object
 * below a chunk of which a part was written, and the nodes on the way to it. One worker of the pool
 * does it, so that a home that hangs does not hold the others. It is advice: what does not fit into
 * the ring, or fails, is left to the commit. After a failure nothing is tried for a while. */
#include "isrfs/base/clock.h"
#include "isrfs/parcel/parcel_internal.h"

#define PAUSE_MS 5000

static bool take(struct parcel *p, struct wanted_base *ret)
{
    LOCK_SCOPE(&p->prefetch_lock);
    struct fetcher *q = &p->fetcher;
    if (q->used > 0 && !q->ending) {
        *ret = q->ring[q->head];
        q->head = (q->head + 1) % FETCH_RING;
        q->used--;
        return true;
    }
    q->running = false;
    if (--p->prefetching == 0)
        pthread_cond_broadcast(&p->prefetch_done);
    return false;
}

static void run(void *arg)
{
    struct parcel *p = arg;
    struct wanted_base wanted;
    while (take(p, &wanted)) {
        struct file *f = file_get(p, wanted.file_id);
        int r = f && !f->is_folder ? flush_fetch(f, wanted.index, true) : 0;
        if (f)
            file_put(f);
        if (r == 0)
            continue;
        LOCK_SCOPE(&p->prefetch_lock);
        p->fetcher.used = 0;
        p->fetcher.resume = clock_ms() + PAUSE_MS;
    }
}

/* Is a part of it missing? A chunk that is written from its front on is about to be written whole.
 */
static bool is_wanted(struct file *f, uint64_t index)
{
    LOCK_SCOPE(&f->lock);
    const struct dirty *d = dirty_find(f, index);
    if (!d || !d->data || d->own == 0 || dirty_has(d, 0, file_blocks(f)))
        return false;
    return !dirty_has(d, 0, d->own);
}

void fetch_note(struct file *f, uint64_t index)
{
    struct parcel *p = f->parcel;
    if (!p->config.pool || f->below || !is_wanted(f, index))
        return;
    bool begin = false;
    {
        LOCK_SCOPE(&p->prefetch_lock);
        struct fetcher *q = &p->fetcher;
        if (q->used == FETCH_RING || q->ending || (q->resume > 0 && clock_ms() < q->resume))
            return;
        q->ring[(q->head + q->used++) % FETCH_RING] = (struct wanted_base){f->file_id, index};
        if (!q->running) {
            q->running = begin = true;
            p->prefetching++;
        }
    }
    if (!begin || pool_try_submit(p->config.pool, run, p))
        return;
    LOCK_SCOPE(&p->prefetch_lock);
    p->fetcher.running = false;
    if (--p->prefetching == 0)
        pthread_cond_broadcast(&p->prefetch_done);
}

void fetch_end(struct parcel *p)
{
    LOCK_SCOPE(&p->prefetch_lock);
    p->fetcher.ending = true;
}
