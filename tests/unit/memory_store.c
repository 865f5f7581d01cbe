/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Objects in a hash table under one lock. */
#include "tests/unit/memory_store.h"

#include <uthash.h>

struct held {
    struct object_id id;
    struct buffer object;
    UT_hash_handle hh;
};

struct memory_store {
    struct store store; /* first */
    pthread_mutex_t lock;
    struct held *objects;  /* lock */
    size_t gets, puts;     /* lock */
    pthread_cond_t moved;  /* one of these has changed: */
    struct object_id held; /* lock; a hole: none */
    size_t waiting;        /* lock */
};

static struct memory_store *of(struct store *s)
{
    return (struct memory_store *)s;
}

static struct held *find(struct memory_store *m, const struct object_id *id)
{
    struct held *h;
    HASH_FIND(hh, m->objects, id, sizeof *id, h);
    return h;
}

static int get(struct store *s, const struct object_id *id, struct buffer *out)
{
    struct memory_store *m = of(s);
    LOCK_SCOPE(&m->lock);

    m->gets++;
    while (object_id_equal(&m->held, id)) {
        m->waiting++;
        pthread_cond_broadcast(&m->moved);
        pthread_cond_wait(&m->moved, &m->lock);
        m->waiting--;
    }
    struct held *h = find(m, id);
    out->size = 0;
    return h ? buffer_append(out, h->object.data, h->object.size) : -ENOENT;
}

static int put(struct store *s, const struct object_id *id, const void *object, size_t size)
{
    LOCK_SCOPE(&of(s)->lock);
    struct held *h = find(of(s), id);

    of(s)->puts++;
    if (!h) {
        h = calloc(1, sizeof *h);
        if (!h)
            return -ENOMEM;
        h->id = *id;
        HASH_ADD(hh, of(s)->objects, id, sizeof h->id, h);
    }
    h->object.size = 0;
    return buffer_append(&h->object, object, size);
}

static int has(struct store *s, const struct object_id *id)
{
    LOCK_SCOPE(&of(s)->lock);
    return find(of(s), id) != NULL;
}

static void drop(struct memory_store *m, struct held *h)
{
    HASH_DEL(m->objects, h);
    buffer_free(&h->object);
    free(h);
}

static int take_out(struct store *s, const struct object_id *id)
{
    LOCK_SCOPE(&of(s)->lock);
    struct held *h = find(of(s), id);

    if (h)
        drop(of(s), h);
    return 0;
}

static void release(struct store *s)
{
    struct held *h, *next;

    HASH_ITER(hh, of(s)->objects, h, next)
    {
        drop(of(s), h);
    }
    pthread_cond_destroy(&of(s)->moved);
    pthread_mutex_destroy(&of(s)->lock);
    free(s);
}

struct store *memory_store_new(struct codec *codec)
{
    static const struct store_ops ops = {
        .get = get, .put = put, .has = has, .remove = take_out, .free = release};
    struct memory_store *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    m->store = (struct store){.ops = &ops, .name = "memory", .codec = codec};
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->moved, NULL);
    return &m->store;
}

size_t memory_store_gets(struct store *s)
{
    LOCK_SCOPE(&of(s)->lock);
    return of(s)->gets;
}

size_t memory_store_puts(struct store *s)
{
    LOCK_SCOPE(&of(s)->lock);
    return of(s)->puts;
}

void memory_store_forget_counts(struct store *s)
{
    LOCK_SCOPE(&of(s)->lock);
    of(s)->gets = 0;
    of(s)->puts = 0;
}

void memory_store_flip(struct store *s, const struct object_id *id, size_t bit)
{
    LOCK_SCOPE(&of(s)->lock);
    struct held *h = find(of(s), id);

    h->object.data[bit / 8 % h->object.size] ^= (uint8_t)(1u << bit % 8);
}

void memory_store_hold(struct store *s, const struct object_id *id)
{
    LOCK_SCOPE(&of(s)->lock);
    of(s)->held = *id;
}

void memory_store_await(struct store *s)
{
    LOCK_SCOPE(&of(s)->lock);

    while (of(s)->waiting == 0)
        pthread_cond_wait(&of(s)->moved, &of(s)->lock);
}

void memory_store_let_go(struct store *s)
{
    LOCK_SCOPE(&of(s)->lock);

    memset(&of(s)->held, 0, sizeof of(s)->held);
    pthread_cond_broadcast(&of(s)->moved);
}

int memory_store_put(void *ctx, const struct object_id *id, const void *object, size_t size)
{
    return store_put(ctx, id, object, size);
}
