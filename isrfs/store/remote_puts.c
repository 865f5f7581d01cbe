/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An entry for each name that was put since the last good barrier. A barrier ends an epoch, and
 * answers for what was put up to then; what is put while it runs belongs to the next one.
 *
 *   (none) --add--> PUT --settle--> (none)
 *                   ^ |
 *               add | | lose
 *                   | v
 *                   LOST --forgive--> FORGIVEN --add--> PUT    (forget: from all to none)
 *
 * The rule is that of the folder store, whose memory of it goes with the process it runs in: a
 * barrier succeeds only if nothing is LOST, whoever asks. What is FORGIVEN is needed no more, or is
 * about to be put again; it is written anew then. */
#include "isrfs/store/remote_puts.h"

#include <errno.h>
#include <string.h>

#define HASH_NONFATAL_OOM           1
#define uthash_nonfatal_oom(failed) ((void)(failed))
#include <uthash.h>

/* Fewer than the folder store keeps before it makes a barrier of its own, inside a put, which may
 * take longer than a put is given. */
#define PUTS_MAX 16384u

struct entry {
    UT_hash_handle hh;
    uint64_t epoch;
    bool lost, forgiven; /* never both */
    char key[];
};

struct remote_puts {
    struct entry *entries;
    uint64_t epoch;
    size_t lost, forgiven;
    int error; /* why */
};

struct key {
    size_t length;
    char bytes[STORE_RECORD_NAME_MAX + 2];
};

static void key_of(const struct remote_request *request, struct key *ret)
{
    bool object = request->op == REMOTE_PUT || request->op == REMOTE_REMOVE;
    const void *name = object ? (const void *)&request->id : request->name;
    size_t length = object ? sizeof request->id : strlen(request->name);
    ret->bytes[0] = object ? 'o' : 'r';
    memcpy(ret->bytes + 1, name, length);
    ret->length = length + 1;
}

struct remote_puts *remote_puts_new(void)
{
    return calloc(1, sizeof(struct remote_puts));
}

static void drop(struct remote_puts *p, struct entry *e)
{
    p->lost -= e->lost;
    p->forgiven -= e->forgiven;
    HASH_DEL(p->entries, e);
    free(e);
}

void remote_puts_free(struct remote_puts *p)
{
    while (p && p->entries)
        drop(p, p->entries);
    free(p);
}

static struct entry *find(const struct remote_puts *p, const struct key *key)
{
    struct entry *e;
    HASH_FIND(hh, p->entries, key->bytes, key->length, e);
    return e;
}

int remote_puts_begin(const struct remote_puts *p, const struct remote_request *request,
                      bool *ret_anew)
{
    struct key key;
    key_of(request, &key);
    const struct entry *e = find(p, &key);
    *ret_anew = e && (e->lost || e->forgiven);
    return p->lost >= PUTS_MAX && !*ret_anew ? p->error : 0;
}

static struct entry *add(struct remote_puts *p, const struct key *key)
{
    struct entry *e = calloc(1, sizeof *e + key->length);
    if (!e)
        return NULL;
    memcpy(e->key, key->bytes, key->length);
    HASH_ADD(hh, p->entries, key, key->length, e);
    if (e->hh.tbl)
        return e;
    free(e);
    return NULL;
}

int remote_puts_add(struct remote_puts *p, const struct remote_request *request)
{
    struct key key;
    key_of(request, &key);
    struct entry *e = find(p, &key);
    if (!e)
        e = add(p, &key);
    if (!e)
        return -ENOMEM;
    p->lost -= e->lost;
    p->forgiven -= e->forgiven;
    e->lost = e->forgiven = false;
    e->epoch = p->epoch;
    return 0;
}

void remote_puts_forget(struct remote_puts *p, const struct remote_request *request)
{
    struct key key;
    key_of(request, &key);
    struct entry *e = find(p, &key);
    if (e)
        drop(p, e);
}

bool remote_puts_full(const struct remote_puts *p)
{
    return HASH_COUNT(p->entries) - p->lost - p->forgiven >= PUTS_MAX;
}

int remote_puts_begin_barrier(struct remote_puts *p, uint64_t *ret_epoch)
{
    if (p->lost > 0)
        return p->error;
    *ret_epoch = p->epoch++;
    return 0;
}

int remote_puts_settle(struct remote_puts *p, uint64_t epoch)
{
    struct entry *e, *next;
    HASH_ITER(hh, p->entries, e, next)
    if (!e->lost && !e->forgiven && e->epoch <= epoch)
        drop(p, e);
    return p->lost > 0 ? p->error : 0;
}

void remote_puts_lose(struct remote_puts *p, uint64_t epoch, int error)
{
    for (struct entry *e = p->entries; e; e = e->hh.next) {
        if (e->lost || e->forgiven || e->epoch > epoch)
            continue;
        if (p->lost++ == 0)
            p->error = error;
        e->lost = true;
    }
}

void remote_puts_forgive(struct remote_puts *p)
{
    bool many = HASH_COUNT(p->entries) > 2 * PUTS_MAX; /* they must not become ever more */
    struct entry *e, *next;
    HASH_ITER(hh, p->entries, e, next)
    {
        if ((e->lost || e->forgiven) && many) {
            drop(p, e);
        } else if (e->lost) {
            p->lost--;
            p->forgiven++;
            e->lost = false;
            e->forgiven = true;
        }
    }
}

bool remote_puts_any_lost(const struct remote_puts *p)
{
    return p->lost > 0;
}
