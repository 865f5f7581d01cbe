/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two copies: a byte may be what either has; they are the same where it is known. If a failed
 * operation meets bytes that are not known and would be a third possibility, the byte is `wild`:
 * nothing is said of it until it is written or read.
 *
 * The size changes only under a claim that reaches from there to the end of all files, so that
 * whoever has claimed a range knows how much of it lies within the size. */
#include "tests/unit/model_file.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "isrfs/base/cleanup.h"

struct model_file {
    uint64_t max;
    uint8_t *one, *other; /* by claim */
    bool *wild;           /* by claim */
    pthread_mutex_t lock;
    pthread_cond_t released;
    uint64_t size;              /* lock; changed only by claim */
    struct model_claim *claims; /* lock */
};

struct model_file *model_file_new(uint64_t max)
{
    struct model_file *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->max = max;
    m->one = calloc(1, max);
    m->other = calloc(1, max);
    m->wild = calloc(max, sizeof *m->wild);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->released, NULL);
    if (m->one && m->other && m->wild)
        return m;
    model_file_free(m);
    return NULL;
}

void model_file_free(struct model_file *m)
{
    if (!m)
        return;
    pthread_cond_destroy(&m->released);
    pthread_mutex_destroy(&m->lock);
    free(m->wild);
    free(m->other);
    free(m->one);
    free(m);
}

/* With the lock held. */
static bool is_free(const struct model_file *m, const struct model_claim *claim)
{
    const struct model_claim *c;
    DL_FOREACH(m->claims, c)
    {
        if (c->first < claim->end && claim->first < c->end)
            return false;
    }
    return true;
}

/* Claims from OFFSET to END, from the size on if that is less and RESIZES. */
static uint64_t take(struct model_file *m, uint64_t offset, uint64_t end, bool resizes,
                     struct model_claim *claim)
{
    LOCK_SCOPE(&m->lock);
    for (;;) {
        *claim = (struct model_claim){.first = offset, .end = end};
        if (resizes && m->size < offset)
            claim->first = m->size;
        if (resizes && m->size < end)
            claim->end = UINT64_MAX;
        if (is_free(m, claim))
            break;
        pthread_cond_wait(&m->released, &m->lock);
    }
    DL_APPEND(m->claims, claim);
    return m->size;
}

uint64_t model_file_claim(struct model_file *m, uint64_t offset, uint64_t size, bool grows,
                          struct model_claim *claim)
{
    return take(m, offset, offset + size, grows, claim);
}

uint64_t model_file_claim_size(struct model_file *m, uint64_t size, struct model_claim *claim)
{
    return take(m, size, UINT64_MAX, true, claim);
}

void model_file_release(struct model_file *m, struct model_claim *claim)
{
    LOCK_SCOPE(&m->lock);
    DL_DELETE(m->claims, claim);
    pthread_cond_broadcast(&m->released);
}

static void put_perhaps(struct model_file *m, uint64_t at, uint8_t byte)
{
    bool known = m->one[at] == m->other[at];
    if (byte == m->one[at] || byte == m->other[at])
        return;
    if (!known)
        m->wild[at] = true;
    m->other[at] = byte;
}

static void fill(uint8_t *to, const uint8_t *data, uint64_t size)
{
    if (data)
        memcpy(to, data, size);
    else
        memset(to, 0, size);
}

void model_file_put(struct model_file *m, uint64_t offset, const uint8_t *data, uint64_t size,
                    bool failed)
{
    if (!failed) {
        fill(m->one + offset, data, size);
        fill(m->other + offset, data, size);
        memset(m->wild + offset, 0, size * sizeof *m->wild);
        return;
    }
    for (uint64_t i = 0; i < size; i++)
        put_perhaps(m, offset + i, data ? data[i] : 0);
}

void model_file_set_size(struct model_file *m, uint64_t size)
{
    uint64_t old;
    {
        LOCK_SCOPE(&m->lock);
        old = m->size;
        m->size = size;
    }
    if (size < old)
        model_file_put(m, size, NULL, old - size, false);
}

bool model_file_check(struct model_file *m, uint64_t offset, const uint8_t *data, uint64_t size,
                      uint64_t *ret_at)
{
    if (memcmp(m->one + offset, data, size) == 0 && memcmp(m->other + offset, data, size) == 0)
        return true; /* none of them is wild either */
    for (uint64_t i = 0; i < size; i++) {
        uint64_t at = offset + i;
        if (!m->wild[at] && data[i] != m->one[at] && data[i] != m->other[at]) {
            *ret_at = at;
            return false;
        }
        m->one[at] = m->other[at] = data[i];
        m->wild[at] = false;
    }
    return true;
}
