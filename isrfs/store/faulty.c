/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Failures on purpose. Every decision is the next number of one generator (splitmix64) that begins
 * at the seed, so one thread's run can be had again by its seed. Which objects are gone depends on
 * seed, id and the number of times that faults were resumed, and so stays the same for a while. The
 * lock guards the generator only. The store below is called by its own methods, so that the damage
 * done here is found by the store_get of whoever uses this store, and nothing is counted twice. */
#include "isrfs/store/faulty.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "isrfs/base/cleanup.h"

struct faulty {
    struct store base;
    struct store_ops ops; /* those that the store below has */
    struct store *below;
    struct faulty_config config;
    atomic_bool calm;
    _Atomic uint64_t epoch;
    _Atomic uint64_t failures;
    pthread_mutex_t lock;
    uint64_t state; /* guarded by lock */
};

static struct faulty *faulty_of(struct store *s)
{
    return (struct faulty *)s;
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t next_random(struct faulty *f)
{
    LOCK_SCOPE(&f->lock);
    return mix(f->state += 0x9e3779b97f4a7c15u);
}

static bool chance(struct faulty *f, unsigned per_million)
{
    if (atomic_load(&f->calm) || !per_million || next_random(f) % 1000000 >= per_million)
        return false;
    atomic_fetch_add(&f->failures, 1);
    return true;
}

static bool is_gone(struct faulty *f, const struct object_id *id)
{
    if (atomic_load(&f->calm) || !f->config.gone)
        return false;
    uint64_t word;
    memcpy(&word, id->bytes, sizeof word);
    if (mix(mix(word ^ f->config.seed) + atomic_load(&f->epoch)) % 1000000 >= f->config.gone)
        return false;
    atomic_fetch_add(&f->failures, 1);
    return true;
}

/* What every call may meet first. */
static int enter(struct faulty *f)
{
    if (f->config.delay_us_max && !atomic_load(&f->calm)) {
        long us = (long)(next_random(f) % f->config.delay_us_max);
        struct timespec wait = {us / 1000000, us % 1000000 * 1000};
        nanosleep(&wait, NULL);
    }
    return chance(f, f->config.offline) ? -EHOSTDOWN : 0;
}

static int faulty_get(struct store *s, const struct object_id *id, struct buffer *out)
{
    struct faulty *f = faulty_of(s);
    int r = enter(f);
    if (r < 0)
        return r;
    if (chance(f, f->config.get_error))
        return -EIO;
    if (chance(f, f->config.get_missing) || is_gone(f, id))
        return -ENOENT;
    r = f->below->ops->get(f->below, id, out);
    if (r < 0 || out->size == 0)
        return r;
    if (chance(f, f->config.get_truncated))
        out->size = next_random(f) % out->size;
    if (out->size && chance(f, f->config.get_flipped)) {
        uint64_t bit = next_random(f) % (8 * out->size);
        out->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    return 0;
}

static int enter_write(struct faulty *f)
{
    int r = enter(f);
    return r < 0 ? r : chance(f, f->config.put_error) ? -EIO : 0;
}

/* As a machine that went down leaves it: a store below takes what it was given for good until its
 * next barrier. */
static int put_torn(struct faulty *f, const struct object_id *id, const void *object, size_t size)
{
    int r = f->below->ops->put(f->below, id, object, 1 + next_random(f) % size);
    if (r == 0 && f->below->ops->barrier)
        r = f->below->ops->barrier(f->below);
    return r < 0 ? r : -EIO;
}

static int faulty_put(struct store *s, const struct object_id *id, const void *object, size_t size)
{
    struct faulty *f = faulty_of(s);
    int r = enter_write(f);
    if (r < 0)
        return r;
    return chance(f, f->config.put_torn) ? put_torn(f, id, object, size)
                                         : f->below->ops->put(f->below, id, object, size);
}

static int faulty_has(struct store *s, const struct object_id *id)
{
    struct faulty *f = faulty_of(s);
    int r = enter(f);
    return r < 0 ? r : is_gone(f, id) ? 0 : f->below->ops->has(f->below, id);
}

static int faulty_barrier(struct store *s)
{
    struct faulty *f = faulty_of(s);
    int r = enter(f);
    if (r < 0)
        return r;
    return chance(f, f->config.barrier_error) ? -EIO : f->below->ops->barrier(f->below);
}

static void faulty_put_again(struct store *s)
{
    store_put_again(faulty_of(s)->below);
}

static int faulty_remove(struct store *s, const struct object_id *id)
{
    struct faulty *f = faulty_of(s);
    int r = enter_write(f);
    return r < 0 ? r : f->below->ops->remove(f->below, id);
}

static int faulty_put_record(struct store *s, const char *name, const void *data, size_t size)
{
    struct faulty *f = faulty_of(s);
    int r = enter_write(f);
    return r < 0 ? r : f->below->ops->put_record(f->below, name, data, size);
}

static int faulty_get_record(struct store *s, const char *name, struct buffer *out)
{
    struct faulty *f = faulty_of(s);
    int r = enter(f);
    if (r < 0)
        return r;
    return chance(f, f->config.get_error) ? -EIO : f->below->ops->get_record(f->below, name, out);
}

static int faulty_remove_record(struct store *s, const char *name)
{
    struct faulty *f = faulty_of(s);
    int r = enter_write(f);
    return r < 0 ? r : f->below->ops->remove_record(f->below, name);
}

static int faulty_each_record(struct store *s, const char *folder,
                              int (*fn)(void *ctx, const char *name), void *ctx)
{
    struct faulty *f = faulty_of(s);
    int r = enter(f);
    return r < 0 ? r : f->below->ops->each_record(f->below, folder, fn, ctx);
}

static void faulty_free(struct store *s)
{
    pthread_mutex_destroy(&faulty_of(s)->lock);
    free(s);
}

struct store *faulty_new(struct store *below, const struct faulty_config *config)
{
    struct faulty *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    const struct store_ops *ops = below->ops;
    f->ops = (struct store_ops){
        .get = ops->get ? faulty_get : NULL,
        .put = ops->put ? faulty_put : NULL,
        .has = ops->has ? faulty_has : NULL,
        .barrier = ops->barrier ? faulty_barrier : NULL,
        .put_again = faulty_put_again,
        .remove = ops->remove ? faulty_remove : NULL,
        .put_record = ops->put_record ? faulty_put_record : NULL,
        .get_record = ops->get_record ? faulty_get_record : NULL,
        .remove_record = ops->remove_record ? faulty_remove_record : NULL,
        .each_record = ops->each_record ? faulty_each_record : NULL,
        .free = faulty_free,
    };
    f->base = (struct store){
        .ops = &f->ops,
        .name = below->name,
        .codec = below->codec,
        .counters = below->counters,
    };
    f->below = below;
    f->config = *config;
    f->state = config->seed;
    atomic_init(&f->calm, false);
    atomic_init(&f->epoch, 0);
    atomic_init(&f->failures, 0);
    pthread_mutex_init(&f->lock, NULL);
    return &f->base;
}

void faulty_calm(struct store *s)
{
    atomic_store(&faulty_of(s)->calm, true);
}

void faulty_resume(struct store *s)
{
    atomic_fetch_add(&faulty_of(s)->epoch, 1);
    atomic_store(&faulty_of(s)->calm, false);
}

uint64_t faulty_failures(struct store *s)
{
    return atomic_load(&faulty_of(s)->failures);
}
