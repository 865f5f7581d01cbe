/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An entry is LOADING (one thread fetches it; others wait on `loaded`), READY (on the LRU list), or
 * FAILED (taken out of the table; lives until the last waiter has seen `error`).
 *
 *   absent -> LOADING -> READY -> absent   (evicted: only when nobody uses it)
 *                     -> FAILED
 *
 * A failure is not remembered: the next reader tries again. `lock` is never held during a fetch. */
#include "isrfs/parcel/chunk_cache.h"

#include <uthash.h>
#include <utlist.h>

#include "isrfs/base/cleanup.h"

struct key {
    struct object_id id;
    uint32_t size;
};

enum state { LOADING, READY, FAILED };

struct chunk {
    struct key key;
    uint8_t *data;
    enum state state;          /* lock */
    int error;                 /* lock */
    unsigned users;            /* lock */
    struct chunk *prev, *next; /* lock; LRU list, oldest first */
    UT_hash_handle hh;
};

/* Spare buffers for encoded objects: a fresh one for each would cost its page faults. */
#define SPARE_OBJECTS 16

struct chunk_cache {
    struct codec *codec;
    struct store *store;
    struct chunk_buffers *buffers;
    struct counters *counters;
    size_t budget;
    pthread_mutex_t lock;
    pthread_cond_t loaded;
    struct chunk *table;                  /* lock */
    struct chunk *lru;                    /* lock; READY ones */
    size_t bytes;                         /* lock; of READY and LOADING ones */
    struct buffer objects[SPARE_OBJECTS]; /* lock */
    unsigned spare_objects;               /* lock; how many of them there are */
};

struct chunk_cache *chunk_cache_new(size_t budget, struct codec *codec, struct store *store,
                                    struct chunk_buffers *buffers, struct counters *counters)
{
    struct chunk_cache *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->codec = codec;
    c->store = store;
    c->buffers = buffers;
    c->counters = counters;
    c->budget = budget;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->loaded, NULL);
    return c;
}

static void chunk_destroy(struct chunk_cache *c, struct chunk *chunk)
{
    chunk_buffers_give(c->buffers, chunk->data, chunk->key.size);
    free(chunk);
}

/* With the lock held: takes an entry out of table and list. */
static void take_out(struct chunk_cache *c, struct chunk *chunk)
{
    if (chunk->state == READY)
        DL_DELETE(c->lru, chunk);
    HASH_DEL(c->table, chunk);
    c->bytes -= chunk->key.size;
}

void chunk_cache_free(struct chunk_cache *c)
{
    if (!c)
        return;
    struct chunk *chunk, *next;
    HASH_ITER(hh, c->table, chunk, next)
    {
        take_out(c, chunk);
        chunk_destroy(c, chunk);
    }
    while (c->spare_objects > 0)
        buffer_free(&c->objects[--c->spare_objects]);
    pthread_cond_destroy(&c->loaded);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* With the lock held: evicts the least recently used until the budget is kept. */
static void evict(struct chunk_cache *c)
{
    struct chunk *chunk, *next;
    DL_FOREACH_SAFE(c->lru, chunk, next)
    {
        if (c->bytes <= c->budget)
            return;
        if (chunk->users > 0)
            continue;
        take_out(c, chunk);
        chunk_destroy(c, chunk);
    }
}

static struct key make_key(const struct object_id *id, uint32_t size)
{
    struct key key;
    memset(&key, 0, sizeof key);
    key.id = *id;
    key.size = size;
    return key;
}

/* With the lock held: waits for a LOADING one. */
static int wait_loaded(struct chunk_cache *c, struct chunk *chunk)
{
    while (chunk->state == LOADING)
        pthread_cond_wait(&c->loaded, &c->lock);
    return chunk->state == READY ? 0 : chunk->error;
}

static struct buffer take_object_buffer(struct chunk_cache *c)
{
    LOCK_SCOPE(&c->lock);
    return c->spare_objects > 0 ? c->objects[--c->spare_objects] : (struct buffer){0};
}

static void give_object_buffer(struct chunk_cache *c, struct buffer *object)
{
    LOCK_SCOPE(&c->lock);
    if (c->spare_objects < SPARE_OBJECTS)
        c->objects[c->spare_objects++] = *object;
    else
        buffer_free(object);
}

static int decode(struct chunk_cache *c, const struct object_ref *ref, const struct buffer *object,
                  struct chunk *chunk)
{
    chunk->data = chunk_buffers_take(c->buffers, chunk->key.size);
    if (!chunk->data)
        return -ENOMEM;
    int r = codec_decode_checked_chunk(c->codec, ref, object->data, object->size, chunk->data,
                                       chunk->key.size);
    if (r == 0)
        COUNT(c->counters, chunks_decoded, 1);
    return r;
}

static int fetch(struct chunk_cache *c, const struct object_ref *ref, struct chunk *chunk)
{
    struct buffer object = take_object_buffer(c);
    int r = store_get(c->store, &ref->id, &object);
    r = r < 0 ? r : decode(c, ref, &object, chunk);
    give_object_buffer(c, &object);
    return r;
}

/* Adds a LOADING entry that the caller uses. With the lock held. */
static struct chunk *add(struct chunk_cache *c, const struct key *key)
{
    struct chunk *chunk = calloc(1, sizeof *chunk);
    if (!chunk)
        return NULL;
    chunk->key = *key;
    chunk->state = LOADING;
    chunk->users = 1;
    HASH_ADD(hh, c->table, key, sizeof chunk->key, chunk);
    c->bytes += key->size;
    return chunk;
}

/* With the lock held: ends LOADING. */
static void finish(struct chunk_cache *c, struct chunk *chunk, int error)
{
    if (error) {
        take_out(c, chunk);
        chunk->state = FAILED;
        chunk->error = error;
    } else {
        chunk->state = READY;
        DL_APPEND(c->lru, chunk);
        evict(c);
    }
    pthread_cond_broadcast(&c->loaded);
}

int chunk_cache_get(struct chunk_cache *c, const struct object_ref *ref, uint32_t chunk_size,
                    struct chunk **ret)
{
    struct key key = make_key(&ref->id, chunk_size);
    struct chunk *chunk;
    {
        LOCK_SCOPE(&c->lock);
        HASH_FIND(hh, c->table, &key, sizeof key, chunk);
        if (chunk) {
            chunk->users++;
            if (chunk->state == READY) {
                DL_DELETE(c->lru, chunk);
                DL_APPEND(c->lru, chunk);
            }
        } else {
            chunk = add(c, &key);
            if (!chunk)
                return -ENOMEM;
            COUNT(c->counters, chunk_cache_misses, 1);
            pthread_mutex_unlock(&c->lock);
            int r = fetch(c, ref, chunk);
            pthread_mutex_lock(&c->lock);
            finish(c, chunk, r);
            if (r < 0) {
                if (--chunk->users == 0)
                    chunk_destroy(c, chunk);
                return r;
            }
            *ret = chunk;
            return 0;
        }
        int r = wait_loaded(c, chunk);
        if (r < 0) {
            if (--chunk->users == 0)
                chunk_destroy(c, chunk);
            return r;
        }
    }
    COUNT(c->counters, chunk_cache_hits, 1);
    *ret = chunk;
    return 0;
}

const uint8_t *chunk_data(const struct chunk *chunk)
{
    return chunk->data;
}

void chunk_cache_release(struct chunk_cache *c, struct chunk *chunk)
{
    LOCK_SCOPE(&c->lock);
    chunk->users--;
    if (c->bytes > c->budget)
        evict(c);
}

void chunk_cache_release_spent(struct chunk_cache *c, struct chunk *chunk)
{
    LOCK_SCOPE(&c->lock);
    if (--chunk->users == 0) {
        DL_DELETE(c->lru, chunk);
        DL_PREPEND(c->lru, chunk);
    }
    if (c->bytes > c->budget)
        evict(c);
}

bool chunk_cache_has(struct chunk_cache *c, const struct object_id *id, uint32_t chunk_size)
{
    struct key key = make_key(id, chunk_size);
    LOCK_SCOPE(&c->lock);
    struct chunk *chunk;
    HASH_FIND(hh, c->table, &key, sizeof key, chunk);
    return chunk;
}

void chunk_cache_insert(struct chunk_cache *c, const struct object_id *id, uint8_t *data,
                        uint32_t chunk_size)
{
    struct key key = make_key(id, chunk_size);
    LOCK_SCOPE(&c->lock);
    struct chunk *chunk;
    HASH_FIND(hh, c->table, &key, sizeof key, chunk);
    chunk = chunk ? NULL : add(c, &key);
    if (!chunk) {
        chunk_buffers_give(c->buffers, data, chunk_size);
        return;
    }
    chunk->data = data;
    chunk->users = 0;
    finish(c, chunk, 0);
}

size_t chunk_cache_bytes(struct chunk_cache *c)
{
    LOCK_SCOPE(&c->lock);
    return c->bytes;
}
