/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening and closing a parcel, and the gate that lets a commit see one moment of it. What each
 * part does:
 *
 *   names.c     the tree of names and attributes      read.c      bytes out
 *   write.c     bytes in, holes, seeking              dirty.c     changed chunks in memory
 *   flush.c     changed chunks to objects in the log  prefetch.c  decoding ahead
 *   journal.c   changes to batches in the log         replay.c    and back
 *   ops.c       what is noted for the journal         listing.c   attributes, listing
 *   save.c      keyrings and catalog of a commit      fetch.c     what a commit will need
 *   blocks.c    changed blocks as records             volatile.c  a running machine's memory
 *   patience.c  waiting for the home                  salvage.c   doing without what is damaged
 *
 * The locks and their order stand in parcel_internal.h. */
#include <string.h>

#include "isrfs/base/secret.h"
#include "isrfs/parcel/parcel_internal.h"

#define CACHE_BYTES     (128u << 20)
#define DIRTY_BYTES     (256u << 20)
#define PREFETCH_CHUNKS 32u
#define SPARE_BYTES     (32u << 20)

static void cleanup_parcel(struct parcel **p)
{
    parcel_close(*p);
}

/* With p->names held (or nobody else there): the folder above PATH, which the catalog lists before.
 */
static struct file *find_parent(struct parcel *p, const char *path, const char **ret_name)
{
    struct file *at = p->root;
    const char *slash;
    while ((slash = strchr(path, '/'))) {
        struct file *child; /* the macro clears it before it looks at the head */
        HASH_FIND(hh_name, at->children, path, (size_t)(slash - path), child);
        if (!child)
            return NULL;
        at = child;
        path = slash + 1;
    }
    *ret_name = path;
    return at;
}

static int build_tree(struct parcel *p, const struct catalog *catalog)
{
    struct catalog_entry root = {
        .file_id = CATALOG_ROOT, .is_folder = true, .mode = 0700, .mtime = file_now()};
    int r = file_new(p, NULL, "", &root, &p->root);
    for (size_t i = 0; r == 0 && i < catalog->count; i++) {
        const struct catalog_entry *entry = &catalog->entries[i];
        const char *name;
        struct file *parent = find_parent(p, entry->path, &name), *f;
        r = parent ? file_new(p, parent, name, entry, &f) : -EBADMSG;
    }
    p->next_file_id = catalog->next_file_id;
    return r;
}

static void init_locks(struct parcel *p)
{
    pthread_mutex_init(&p->gate.lock, NULL);
    pthread_cond_init(&p->gate.changed, NULL);
    pthread_mutex_init(&p->flush_lock, NULL);
    pthread_cond_init(&p->flush_changed, NULL);
    pthread_mutex_init(&p->names, NULL);
    pthread_mutex_init(&p->dirty_lock, NULL);
    pthread_mutex_init(&p->prefetch_lock, NULL);
    pthread_cond_init(&p->prefetch_done, NULL);
}

/* The object is kept for the first batch if the log has it not. */
static int load_catalog(struct parcel *p, const struct object_ref *ref, struct catalog **ret)
{
    CLEANUP_BUFFER struct buffer object = {0};
    const struct parcel_config *config = &p->config;
    int r = store_get(config->store, &ref->id, &object);
    r = r < 0 ? r : catalog_decode(config->codec, ref, object.data, object.size, ret);
    if (r < 0 || !config->log || store_has(site_log_store(config->log), &ref->id) > 0)
        return r;
    p->opened = ref->id;
    p->catalog = object;
    object = (struct buffer){0};
    return 0;
}

int parcel_open(const struct parcel_config *config, const struct object_ref *catalog_ref,
                struct parcel **ret)
{
    CLEANUP(cleanup_parcel) struct parcel *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->config = *config;
    if (!p->config.cache_bytes)
        p->config.cache_bytes = CACHE_BYTES;
    if (!p->config.dirty_bytes)
        p->config.dirty_bytes =
            p->config.cache_bytes < DIRTY_BYTES / 2 ? 2 * p->config.cache_bytes : DIRTY_BYTES;
    if (!p->config.prefetch_chunks)
        p->config.prefetch_chunks = PREFETCH_CHUNKS;
    init_locks(p);
    p->buffers = chunk_buffers_new(SPARE_BYTES);
    p->cache = p->buffers ? chunk_cache_new(p->config.cache_bytes, config->codec, config->store,
                                            p->buffers, config->counters)
                          : NULL;
    p->refs = ref_slots_new();
    p->losses = config->salvage ? losses_new() : NULL;
    if (!p->cache || !p->refs || (config->salvage && !p->losses))
        return -ENOMEM;
    CLEANUP_CATALOG struct catalog *catalog = NULL;
    int r = load_catalog(p, catalog_ref, &catalog);
    r = r < 0 ? r : build_tree(p, catalog);
    r = r < 0 || !p->losses ? r : salvage_tree(p, catalog);
    p->consistent = config->consistent;
    r = r < 0 || !config->log ? r : replay_log(p);
    r = r < 0 || !config->log ? r : volatile_attach_all(p);
    if (r < 0)
        return r;
    journal_said(p, p->consistent, parcel_changes(p));
    p->noting = config->log;
    *ret = steal_ptr(p);
    return 0;
}

void parcel_close(struct parcel *p)
{
    if (!p)
        return;
    fetch_end(p);
    prefetch_drain(p);
    struct file *f, *next;
    HASH_ITER(hh_id, p->files, f, next)
    {
        HASH_DELETE(hh_id, p->files, f);
        if (f->parent)
            HASH_DELETE(hh_name, f->parent->children, f);
        for (struct file *child = f->children; child;) {
            struct file *after = child->hh_name.next;
            HASH_DELETE(hh_name, f->children, child);
            child->parent = NULL;
            child = after;
        }
        file_free(f);
    }
    ops_free(p->ops);
    buffer_free(&p->catalog);
    losses_free(p->losses);
    ref_slots_free(p->refs);
    chunk_cache_free(p->cache);
    chunk_buffers_free(p->buffers);
    pthread_cond_destroy(&p->prefetch_done);
    pthread_mutex_destroy(&p->prefetch_lock);
    pthread_mutex_destroy(&p->dirty_lock);
    pthread_mutex_destroy(&p->names);
    pthread_cond_destroy(&p->flush_changed);
    pthread_mutex_destroy(&p->flush_lock);
    pthread_cond_destroy(&p->gate.changed);
    pthread_mutex_destroy(&p->gate.lock);
    free(p);
}

bool parcel_is_read_only(const struct parcel *p)
{
    return !p->config.log;
}

int parcel_gate_enter(struct parcel *p)
{
    if (!p->config.log)
        return -EROFS;
    LOCK_SCOPE(&p->gate.lock);
    while (p->gate.frozen)
        pthread_cond_wait(&p->gate.changed, &p->gate.lock);
    p->gate.writers++;
    return 0;
}

void parcel_gate_leave(struct parcel *p)
{
    LOCK_SCOPE(&p->gate.lock);
    if (--p->gate.writers == 0)
        pthread_cond_broadcast(&p->gate.changed);
}

void parcel_gate_close(struct parcel *p)
{
    LOCK_SCOPE(&p->gate.lock);
    while (p->gate.frozen)
        pthread_cond_wait(&p->gate.changed, &p->gate.lock);
    p->gate.frozen = true;
    while (p->gate.writers > 0)
        pthread_cond_wait(&p->gate.changed, &p->gate.lock);
}

void parcel_gate_open(struct parcel *p)
{
    LOCK_SCOPE(&p->gate.lock);
    p->gate.frozen = false;
    pthread_cond_broadcast(&p->gate.changed);
}

/* The flusher may close the gate; who has closed it must not have to wait for a flusher. */
void parcel_freeze(struct parcel *p)
{
    flush_token_take(p);
    parcel_gate_close(p);
}

void parcel_thaw(struct parcel *p)
{
    parcel_gate_open(p);
    flush_token_give(p);
}

uint64_t parcel_changes(struct parcel *p)
{
    return atomic_load(&p->changes);
}

bool parcel_has_removed(struct parcel *p)
{
    LOCK_SCOPE(&p->names);
    for (const struct file *f = p->files; f; f = f->hh_id.next)
        if (f->unlinked)
            return true;
    return false;
}

void parcel_usage(struct parcel *p, struct parcel_usage *ret)
{
    *ret = (struct parcel_usage){.cached_bytes = chunk_cache_bytes(p->cache)};
    {
        LOCK_SCOPE(&p->dirty_lock);
        ret->dirty_bytes = p->dirty_bytes;
    }
    LOCK_SCOPE(&p->names);
    for (struct file *f = p->files; f; f = f->hh_id.next) {
        LOCK_SCOPE(&f->lock);
        if (f->is_folder || f->unlinked)
            continue;
        ret->files++;
        ret->bytes += f->size; /* of a volatile one: what is kept */
    }
}
