/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hash table from file id to the number of its writers and what is known of its changes; a file
 * without any writer is not in it. */
#include "isrfs/fuse/writers.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/clock.h"

struct written {
    uint64_t file_id;
    unsigned count;
    bool is_kept;
    int64_t handed_over; /* is_kept: when */
    int error;           /* to be told at a close, or 0 */
    UT_hash_handle hh;
};

struct writers {
    pthread_mutex_t lock;
    struct written *table; /* lock */
    size_t kept;           /* lock; files in it that are to be kept */
};

struct writers *writers_new(void)
{
    struct writers *w = calloc(1, sizeof *w);
    if (w)
        pthread_mutex_init(&w->lock, NULL);
    return w;
}

void writers_free(struct writers *w)
{
    if (!w)
        return;
    struct written *file, *next;
    HASH_ITER(hh, w->table, file, next)
    {
        HASH_DEL(w->table, file);
        free(file);
    }
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static struct written *find(struct writers *w, uint64_t file_id)
{
    struct written *file;
    HASH_FIND(hh, w->table, &file_id, sizeof file_id, file);
    return file;
}

int writers_add(struct writers *w, uint64_t file_id, bool is_kept)
{
    LOCK_SCOPE(&w->lock);
    struct written *file = find(w, file_id);
    if (!file) {
        file = calloc(1, sizeof *file);
        if (!file)
            return -ENOMEM;
        file->file_id = file_id;
        HASH_ADD(hh, w->table, file_id, sizeof file->file_id, file);
        if (!file->hh.tbl) {
            free(file);
            return -ENOMEM;
        }
        file->is_kept = is_kept;
        file->handed_over = clock_ms();
        w->kept += is_kept;
    }
    file->count++;
    return 0;
}

void writers_remove(struct writers *w, uint64_t file_id)
{
    LOCK_SCOPE(&w->lock);
    struct written *file = find(w, file_id);
    if (!file || --file->count > 0)
        return;
    w->kept -= file->is_kept;
    HASH_DEL(w->table, file);
    free(file);
}

bool writers_has(struct writers *w, uint64_t file_id)
{
    LOCK_SCOPE(&w->lock);
    return find(w, file_id) != NULL;
}

bool writers_any(struct writers *w)
{
    LOCK_SCOPE(&w->lock);
    return w->table != NULL;
}

int writers_list(struct writers *w, uint64_t **ret, size_t *ret_count)
{
    LOCK_SCOPE(&w->lock);
    *ret_count = 0;
    *ret = calloc(HASH_COUNT(w->table) + 1, sizeof **ret);
    if (!*ret)
        return -ENOMEM;
    struct written *file, *next;
    HASH_ITER(hh, w->table, file, next)
    (*ret)[(*ret_count)++] = file->file_id;
    return 0;
}

bool writers_any_kept(struct writers *w)
{
    LOCK_SCOPE(&w->lock);
    return w->kept > 0;
}

int writers_due(struct writers *w, int64_t limit, uint64_t **ret, size_t *ret_count,
                int64_t *ret_oldest)
{
    LOCK_SCOPE(&w->lock);
    *ret_count = 0;
    *ret_oldest = INT64_MAX;
    *ret = calloc(w->kept + 1, sizeof **ret);
    if (!*ret)
        return -ENOMEM;
    for (const struct written *file = w->table; file; file = file->hh.next)
        if (file->is_kept && file->handed_over < limit)
            (*ret)[(*ret_count)++] = file->file_id;
        else if (file->is_kept && file->handed_over < *ret_oldest)
            *ret_oldest = file->handed_over;
    return 0;
}

bool writers_take_due(struct writers *w, uint64_t file_id, int64_t limit, int64_t now)
{
    LOCK_SCOPE(&w->lock);
    struct written *file = find(w, file_id);
    if (!file || !file->is_kept || file->handed_over >= limit)
        return false;
    file->handed_over = now;
    return true;
}

void writers_handed_over(struct writers *w, uint64_t file_id, int64_t time)
{
    LOCK_SCOPE(&w->lock);
    struct written *file = find(w, file_id);
    if (file && file->handed_over < time)
        file->handed_over = time;
}

void writers_set_error(struct writers *w, uint64_t file_id, int error)
{
    LOCK_SCOPE(&w->lock);
    struct written *file = find(w, file_id);
    if (file)
        file->error = error;
}

int writers_take_error(struct writers *w, uint64_t file_id)
{
    LOCK_SCOPE(&w->lock);
    struct written *file = find(w, file_id);
    int error = file ? file->error : 0;
    if (file)
        file->error = 0;
    return error;
}
