/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hash table from file id to the number of its writers; a file without any is not in it. */
#include "isrfs/fuse/writers.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "isrfs/base/cleanup.h"

struct written {
    uint64_t file_id;
    unsigned count;
    UT_hash_handle hh;
};

struct writers {
    pthread_mutex_t lock;
    struct written *table; /* lock */
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

int writers_add(struct writers *w, uint64_t file_id)
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
