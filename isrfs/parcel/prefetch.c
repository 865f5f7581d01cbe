/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decoding ahead of a sequential reader. A file's reads are sequential when each begins where the
 * last ended, give or take two chunks (several threads serve one reader, and may overtake each
 * other). Then the chunks behind are fetched by the pool into the chunk cache, further ahead the
 * longer it goes on. It is advice: what does not fit into the queue, or fails, is left to the
 * reader who needs it. */
#include "isrfs/parcel/parcel_internal.h"

#define STREAK_MIN 2

struct job {
    struct file *file; /* with a reference */
    uint64_t index;
};

static void job_run(void *arg)
{
    struct job *job = arg;
    struct file *f = job->file;
    struct parcel *p = f->parcel;
    struct object_ref ref;
    bool wanted;
    {
        LOCK_SCOPE(&f->lock);
        wanted = !dirty_find(f, job->index) && !holes_find(&f->holes, job->index);
    }
    struct chunk *chunk;
    if (wanted && keyring_lookup(f->keyring, job->index, &ref) == 0 &&
        !object_id_is_hole(&ref.id) && !chunk_cache_has(p->cache, &ref.id, f->chunk_size) &&
        chunk_cache_get(p->cache, &ref, f->chunk_size, &chunk) == 0) {
        COUNT(p->config.counters, chunks_prefetched, 1);
        chunk_cache_release(p->cache, chunk);
    }
    file_put(f);
    free(job);
    LOCK_SCOPE(&p->prefetch_lock);
    if (--p->prefetching == 0)
        pthread_cond_broadcast(&p->prefetch_done);
}

static bool submit(struct file *f, uint64_t index)
{
    struct parcel *p = f->parcel;
    struct job *job = malloc(sizeof *job);
    if (!job)
        return false;
    *job = (struct job){file_get(p, f->file_id), index};
    {
        LOCK_SCOPE(&p->prefetch_lock);
        p->prefetching++;
    }
    if (job->file && pool_try_submit(p->config.pool, job_run, job))
        return true;
    if (job->file)
        file_put(job->file);
    free(job);
    LOCK_SCOPE(&p->prefetch_lock);
    if (--p->prefetching == 0)
        pthread_cond_broadcast(&p->prefetch_done);
    return false;
}

/* With the file's lock held: which chunks are to be fetched now. */
static void plan(struct file *f, uint64_t first, uint64_t last, uint64_t *ret_from,
                 uint64_t *ret_to)
{
    bool follows = first <= f->read_next + 2 && first + 2 >= f->read_next;
    if (!follows) {
        f->read_streak = 0;
        f->prefetch_end = 0;
    } else if (last + 1 > f->read_next) {
        f->read_streak++;
    }
    if (!follows || last + 1 > f->read_next)
        f->read_next = last + 1;
    *ret_from = *ret_to = 0;
    if (f->read_streak < STREAK_MIN)
        return;
    uint64_t window = f->read_streak > 8 ? 1u << 8 : 1u << f->read_streak;
    if (window > f->parcel->config.prefetch_chunks)
        window = f->parcel->config.prefetch_chunks;
    uint64_t fitting = f->parcel->config.cache_bytes / 4 / f->chunk_size;
    if (window > fitting)
        window = fitting;
    uint64_t end = (f->size + f->chunk_size - 1) / f->chunk_size;
    uint64_t from = f->prefetch_end > last + 1 ? f->prefetch_end : last + 1;
    uint64_t to = last + 1 + window < end ? last + 1 + window : end;
    if (from >= to)
        return;
    *ret_from = from;
    *ret_to = to;
    f->prefetch_end = to;
}

void prefetch_note(struct file *f, uint64_t first, uint64_t last)
{
    if (!f->parcel->config.pool)
        return;
    uint64_t from, to;
    {
        LOCK_SCOPE(&f->lock);
        plan(f, first, last, &from, &to);
    }
    for (uint64_t i = from; i < to; i++)
        if (!submit(f, i)) {
            LOCK_SCOPE(&f->lock);
            if (f->prefetch_end > i)
                f->prefetch_end = i;
            return;
        }
}

void prefetch_drain(struct parcel *p)
{
    LOCK_SCOPE(&p->prefetch_lock);
    while (p->prefetching > 0)
        pthread_cond_wait(&p->prefetch_done, &p->prefetch_lock);
}
