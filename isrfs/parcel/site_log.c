/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log is a row of segments, numbered without gaps from the first that is still needed. The last
 * one, made by this process, takes new records (site_log_append.c); the others are only read. An
 * index in memory says where each object is.
 *
 * Reading back after a crash (site_log_scan.c): each record says up to where the log was known to
 * be flushed. A bad record below that point, or a segment missing in the row, is damage; above it
 * is the torn end. */
#include "isrfs/parcel/site_log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/parcel/site_log_internal.h"
#include "isrfs/parcel/site_log_scan.h"

#define ROOT_SIZE (8 + 8 + 3 * sizeof(struct object_ref) + 1 + 8)

static struct site_log *from_store(struct store *s)
{
    return (struct site_log *)(void *)s;
}

/* With the lock held. */
static int index_add(struct site_log *l, const struct object_id *id, const struct log_at *at,
                     size_t size)
{
    struct indexed *known;
    HASH_FIND(hh, l->index, id, sizeof *id, known);
    if (known) {
        known->at = *at;
        return 0;
    }
    struct indexed *entry = calloc(1, sizeof *entry);
    if (!entry)
        return -ENOMEM;
    *entry = (struct indexed){.id = *id, .at = *at, .size = (uint32_t)size};
    HASH_ADD(hh, l->index, id, sizeof *id, entry);
    l->objects++;
    return 0;
}

static bool index_find(struct site_log *l, const struct object_id *id, struct indexed *ret)
{
    LOCK_SCOPE(&l->lock);
    struct indexed *known;
    HASH_FIND(hh, l->index, id, sizeof *id, known);
    if (known && ret)
        *ret = *known;
    return known;
}

/* Is it in a segment that stays? */
static bool index_keeps(struct site_log *l, const struct object_id *id)
{
    LOCK_SCOPE(&l->lock);
    struct indexed *known;
    HASH_FIND(hh, l->index, id, sizeof *id, known);
    return known && segment_number(known->at.segment) >= l->boundary;
}

/* The store's methods. */

static int log_get(struct store *s, const struct object_id *id, struct buffer *out)
{
    struct site_log *l = from_store(s);
    struct indexed at;
    if (!index_find(l, id, &at))
        return -ENOENT;
    CLEANUP_BUFFER struct buffer record = {0};
    struct segment_record found;
    int r = site_log_read(l, &at.at, &record, &found);
    if (r < 0)
        return r;
    if (found.type != RECORD_OBJECT || found.size != sizeof *id + at.size ||
        memcmp(found.payload, id, sizeof *id) != 0)
        return -EBADMSG;
    out->size = 0;
    return buffer_append(out, found.payload + sizeof *id, at.size);
}

static int log_put(struct store *s, const struct object_id *id, const void *object, size_t size)
{
    struct site_log *l = from_store(s);
    if (index_keeps(l, id))
        return 0;
    const struct iovec parts[] = {{(void *)(uintptr_t)id, sizeof *id},
                                  {(void *)(uintptr_t)object, size}};
    const struct segment_payload payload = {parts, 2, sizeof *id + size};
    struct log_place at;
    int r = site_log_append(l, RECORD_OBJECT, &payload, &at);
    if (r < 0)
        return r;
    LOCK_SCOPE(&l->lock);
    return index_add(l, id, &(struct log_at){at.segment, at.offset, at.record}, size);
}

static int log_has(struct store *s, const struct object_id *id)
{
    return index_find(from_store(s), id, NULL);
}

static int log_barrier(struct store *s)
{
    return site_log_flush(from_store(s));
}

static const struct store_ops log_ops = {
    .get = log_get,
    .put = log_put,
    .has = log_has,
    .barrier = log_barrier,
};

struct store *site_log_store(struct site_log *l)
{
    return &l->store;
}

/* Roots. */

static void encode_root(const struct site_root *root, uint64_t first_segment,
                        uint8_t out[ROOT_SIZE])
{
    put_u64(out, first_segment);
    put_u64(out + 8, root->base_version);
    uint8_t *at = out + 16;
    const struct object_ref *refs[] = {&root->base, &root->current, &root->publishing};
    for (size_t i = 0; i < 3; i++, at += sizeof(struct object_ref))
        memcpy(at, refs[i], sizeof(struct object_ref));
    *at = (uint8_t)(root->consistent | root->publishing_consistent << 1 | root->partial << 2);
    put_u64(at + 1, root->contains);
}

static int decode_root(const uint8_t *in, size_t size, struct site_root *root,
                       uint64_t *first_segment)
{
    if (size != ROOT_SIZE || in[ROOT_SIZE - 9] > 7)
        return -EBADMSG;
    *first_segment = get_u64(in);
    root->base_version = get_u64(in + 8);
    const uint8_t *at = in + 16;
    struct object_ref *refs[] = {&root->base, &root->current, &root->publishing};
    for (size_t i = 0; i < 3; i++, at += sizeof(struct object_ref))
        memcpy(refs[i], at, sizeof(struct object_ref));
    root->consistent = *at & 1;
    root->publishing_consistent = *at >> 1 & 1;
    root->partial = *at >> 2;
    root->contains = get_u64(at + 1);
    return 0;
}

static int append_root(struct site_log *l, const struct site_root *root, uint64_t first_segment)
{
    uint8_t bytes[ROOT_SIZE];
    encode_root(root, first_segment, bytes);
    const struct iovec part = {bytes, sizeof bytes};
    struct log_place at;
    int r = site_log_append(l, RECORD_ROOT, &(struct segment_payload){&part, 1, sizeof bytes}, &at);
    secret_wipe(bytes, sizeof bytes);
    if (r < 0)
        return r;
    LOCK_SCOPE(&l->lock);
    *l->root = *root;
    l->has_root = true;
    l->root_segment = segment_number(at.segment);
    return 0;
}

int site_log_put_root(struct site_log *l, const struct site_root *root)
{
    uint64_t first = 1;
    {
        LOCK_SCOPE(&l->lock);
        if (l->segment_count)
            first = segment_number(l->segments[0]);
    }
    return append_root(l, root, first);
}

int site_log_newest_root(struct site_log *l, struct site_root *ret)
{
    LOCK_SCOPE(&l->lock);
    if (!l->has_root)
        return -ENOENT;
    *ret = *l->root;
    return 0;
}

uint64_t site_log_bytes(struct site_log *l)
{
    LOCK_SCOPE(&l->lock);
    return l->bytes;
}

void site_log_usage(struct site_log *l, uint64_t *ret_bytes, uint64_t *ret_objects)
{
    LOCK_SCOPE(&l->lock);
    *ret_bytes = l->bytes;
    *ret_objects = l->objects;
}

int site_log_each_object(struct site_log *l, int (*fn)(void *ctx, const struct object_id *id),
                         void *ctx)
{
    CLEANUP_FREE struct object_id *ids = NULL;
    size_t count = 0;
    {
        LOCK_SCOPE(&l->lock);
        ids = calloc(l->objects ? l->objects : 1, sizeof *ids);
        if (!ids)
            return -ENOMEM;
        for (const struct indexed *i = l->index; i; i = i->hh.next)
            ids[count++] = i->id;
    }
    for (size_t i = 0; i < count; i++) {
        int r = fn(ctx, &ids[i]);
        if (r != 0)
            return r;
    }
    return 0;
}

static void index_clear(struct site_log *l)
{
    struct indexed *entry, *next;
    HASH_ITER(hh, l->index, entry, next)
    {
        HASH_DEL(l->index, entry);
        free(entry);
    }
    l->objects = 0;
}

/* Opening. A root whose catalog was lost is no state any more: the one before it is, with all
 * batches since. */
static int take_root(struct site_log *l, const struct segment_record *record)
{
    CLEANUP_SECRET struct site_root *root = secret_alloc(sizeof *root);
    uint64_t first;
    int r = root ? decode_root(record->payload, record->size, root, &first) : -ENOMEM;
    if (r < 0)
        return r;
    if (l->damage_count > 0 && l->has_root && index_find(l, &l->root->current.id, NULL) &&
        !index_find(l, &root->current.id, NULL)) {
        l->journal.lost++;
        return 0;
    }
    /* a check-in says something new of the same state: what was lost since then still counts */
    bool same = l->has_root && object_id_equal(&l->root->current.id, &root->current.id) &&
                l->root->contains == root->contains;
    l->has_root = true;
    *l->root = *root;
    l->first_needed = first;
    r = site_log_journal_root(l, root, same);
    for (size_t i = 0; r > 0 && i < l->damage_count; i++)
        l->damage[i].newer = false;
    return r < 0 ? r : 0;
}

static int take_damage(void *ctx, const struct log_damage *damage)
{
    struct site_log *l = ctx;
    struct log_damage *all = reallocarray(l->damage, l->damage_count + 1, sizeof *all);
    if (!all)
        return -ENOMEM;
    l->damage = all;
    l->damage[l->damage_count] = *damage;
    l->damage[l->damage_count++].newer = true;
    site_log_journal_gap(l);
    return 0;
}

size_t site_log_damage(struct site_log *l, const struct log_damage **ret)
{
    *ret = l->damage;
    return l->damage_count;
}

/* What scanning calls for each good record, in order. */
static int take_record(void *ctx, struct segment *segment, const struct segment_record *record)
{
    struct site_log *l = ctx;
    struct log_at at = {segment, record->offset, record->record};
    struct object_id id;
    switch (record->type) {
    case RECORD_PADDING:
        return 0;
    case RECORD_OBJECT:
        if (record->size < sizeof id + OBJECT_HEADER_SIZE)
            return -EBADMSG;
        memcpy(&id, record->payload, sizeof id);
        return index_add(l, &id, &at, record->size - sizeof id);
    case RECORD_ROOT:
        return take_root(l, record);
    case RECORD_FLOOR:
        if (record->size != 8)
            return -EBADMSG;
        l->first_needed = get_u64(record->payload);
        return 0;
    case RECORD_FILE:
    case RECORD_BLOCKS:
        return site_log_journal_take(l, &at, record->type, record->payload, record->size);
    default:
        log_error("the site log has records of a kind (%d) that this release does not know",
                  (int)record->type);
        return -EPROTONOSUPPORT;
    }
}

static int open_folder(struct site_log *l, const struct site_log_config *config)
{
    int r = io_mkdir(config->dirfd, config->folder, 0700);
    if (r < 0 && r != -EEXIST)
        return r;
    /* also if it is there: who made it may have been killed before this */
    r = io_fsync_dir(config->dirfd, ".");
    if (r < 0)
        return r;
    l->dirfd =
        openat(config->dirfd, config->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return l->dirfd < 0 ? -errno : 0;
}

/* Is the row of segments whole at its front? With SALVAGE what is missing there is damage. */
static int check_first(struct site_log *l, bool salvage)
{
    if (l->segment_count == 0 || segment_number(l->segments[0]) <= l->first_needed)
        return 0;
    if (!salvage) {
        log_error("a segment is missing in the site log: the first is number %" PRIu64
                  ", number %" PRIu64 " is needed",
                  segment_number(l->segments[0]), l->first_needed);
        return -EBADMSG;
    }
    for (size_t i = 0; i < l->damage_count; i++)
        if (l->damage[i].segment <= l->first_needed)
            return 0; /* it is there, and told as unreadable */
    struct log_damage damage = {.segment = l->first_needed};
    int r = take_damage(l, &damage);
    if (r == 0)
        l->damage[l->damage_count - 1].newer = !l->has_root;
    return r;
}

static int scan(struct site_log *l, const struct site_log_config *config, struct scan_result *ret)
{
    struct scan_visitor visitor = {take_record, take_damage, l};
    int r = config->salvage ? site_log_salvage(&l->keys, l->dirfd, config->give_up, &visitor, ret)
                            : site_log_scan(&l->keys, l->dirfd, &visitor, ret);
    if (r < 0)
        return r;
    if (config->salvage)
        site_log_journal_end(l);
    else
        site_log_journal_cut(l);
    return 0;
}

/* When the newest segment was last written. */
static int64_t written(struct site_log *l)
{
    struct stat st;
    char name[32];
    if (l->segment_count == 0)
        return 0;
    snprintf(name, sizeof name, "%016" PRIx64, segment_number(l->segments[l->segment_count - 1]));
    return fstatat(l->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mtim.tv_sec;
}

static void cleanup_log(struct site_log **l)
{
    site_log_close(*l);
}

int site_log_open(const struct site_log_config *config, struct site_log **ret,
                  struct site_log_found *found)
{
    CLEANUP(cleanup_log) struct site_log *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    l->dirfd = -1;
    l->first_needed = 1;
    l->store = (struct store){.ops = &log_ops,
                              .name = "the site log",
                              .codec = config->codec,
                              .counters = config->counters};
    l->identity = strdup(config->identity);
    l->session_key = secret_alloc(AEAD_KEY_SIZE);
    l->root = secret_alloc(sizeof *l->root);
    l->aead = aead_new();
    if (!l->identity || !l->session_key || !l->root || !l->aead)
        return -ENOMEM;
    memcpy(l->session_key, config->session_key, AEAD_KEY_SIZE);
    l->keys = (struct segment_keys){l->aead, config->codec, l->session_key, l->identity};
    int r = open_folder(l, config);
    struct scan_result scanned = {0};
    r = r < 0 ? r : scan(l, config, &scanned);
    if (r < 0)
        return r;
    CLEANUP_FREE uint64_t *ends = scanned.ends;
    l->segments = scanned.segments;
    l->segment_count = scanned.count;
    l->bytes = scanned.bytes;
    r = check_first(l, config->salvage);
    if (r < 0)
        return r;
    site_log_open_space(l, ends);
    if (found)
        *found = (struct site_log_found){.segments = scanned.count,
                                         .objects = l->objects,
                                         .bytes = scanned.bytes,
                                         .roots = l->has_root,
                                         .batches = l->journal.batches,
                                         .torn_bytes = scanned.torn_bytes,
                                         .written = written(l)};
    if (l->segment_count) {
        l->flush_point = scanned.flushed;
        l->records = scanned.records;
        l->offset = scanned.offset;
    }
    *ret = steal_ptr(l);
    return 0;
}

void site_log_close(struct site_log *l)
{
    if (!l)
        return;
    index_clear(l);
    site_log_moved_free(l);
    free(l->journal.records);
    free(l->damage);
    for (size_t i = 0; i < l->segment_count; i++)
        segment_free(l->segments[i]);
    for (size_t i = 0; i < l->dropped_count; i++)
        segment_free(l->dropped[i]);
    free(l->segments);
    free(l->dropped);
    cleanup_close(&l->dirfd);
    aead_free(l->aead);
    secret_free(l->root);
    secret_free(l->session_key);
    free(l->identity);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

int site_log_remove(int dirfd, const char *folder)
{
    int r = io_remove_tree(dirfd, folder);
    r = r == -ENOENT ? 0 : r;
    return r < 0 ? r : io_fsync_dir(dirfd, ".");
}
