/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A new parcel comes into being in this order: sources opened and checked, lock server asked
 * whether the name is free, home made or opened, chunks and keyrings, catalog, barrier, version
 * record, barrier, parcel created at the lock server. Only the last step shows it to anyone. What
 * fails before leaves objects in the store that nothing names, for the collector of garbage; and a
 * note at this site (begun.h) of the record, which would keep them from it. */
#include "isrfs/sync/import.h"

#include <string.h>
#include <time.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/base/words.h"
#include "isrfs/sync/begun.h"
#include "isrfs/sync/home.h"
#include "isrfs/sync/import_file.h"
#include "isrfs/sync/import_names.h"
#include "isrfs/sync/server.h"
#include "isrfs/sync/version.h"

#define POOL_QUEUE 256u

struct import {
    const struct site *site;
    const struct import_config *config;
    struct failure *failure;
    struct import_source **sources; /* config->count of them */
    char **names;                   /* likewise */
    struct lockclient *client;
    struct object_secret *secret;
    uint8_t *recovery; /* NULL: the lock server has none */
    struct codec *codec;
    struct pool *pool;
    struct counters counters;
    char *src;
    struct store *home;
    char uuid[STORE_UUID_HEX + 1], store_uuid[STORE_UUID_HEX + 1];
    struct catalog *catalog;
    struct object_ref keyroot;
    struct begun *begun; /* the record may be at home, and nobody knows of the parcel yet */
    uint64_t bytes;      /* of all files */
};

static void import_free(struct import *m)
{
    for (size_t i = 0; i < m->config->count; i++) {
        if (m->sources)
            import_source_close(m->sources[i]);
        if (m->names)
            free(m->names[i]);
    }
    free(m->sources);
    free(m->names);
    catalog_free(m->catalog);
    begun_free(m->begun);
    store_free(m->home);
    pool_free(m->pool);
    codec_free(m->codec);
    lockclient_free(m->client);
    secret_free(m->secret);
    secret_free(m->recovery);
    secret_wipe(&m->keyroot, sizeof m->keyroot);
    free(m->src);
}

static int no_memory(struct import *m)
{
    return failure_set(m->failure, OUTCOME_FAILED, "out of memory");
}

/* --- the sources --- */

static int check_source(struct import *m, size_t i)
{
    const struct import_source_info *info = import_source_info(m->sources[i]);
    char name[256];
    m->bytes += info->size;
    if (info->size > INT64_MAX || m->bytes > INT64_MAX)
        return failure_set(m->failure, OUTCOME_FAILED, "%s is too large",
                           log_clean(name, sizeof name, m->config->files[i].path));
    if (info->size == 0 &&
        (info->format != IMPORT_PLAIN || strcmp(m->names[i], IMPORT_DISK_NAME) == 0))
        return failure_set(m->failure, OUTCOME_FAILED, "%s: a disk image cannot be empty",
                           log_clean(name, sizeof name, m->config->files[i].path));
    return 0;
}

static int open_sources(struct import *m)
{
    const struct import_file *files = m->config->files;
    size_t count = m->config->count;
    m->sources = calloc(count, sizeof(struct import_source *));
    m->names = calloc(count, sizeof(char *));
    if (!m->sources || !m->names)
        return no_memory(m);
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = import_source_open(files[i].path, import_names_keep(files[i].name), &m->sources[i],
                               m->failure);
    if (r == 0)
        r = import_names_choose(files, m->sources, count, m->names, m->failure);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = check_source(m, i);
    return r;
}

/* --- lock server and home --- */

static int ask_server(struct import *m, const struct source *source, char **ret_default_src)
{
    int r = server_open(m->site, source, true, &m->client, m->failure);
    if (r < 0)
        return r;
    struct lockclient_error error = {0};
    struct lockclient_user *user = NULL;
    r = lockclient_user(m->client, &user, &error);
    if (r < 0)
        return server_failure(m->failure, source, r, &error);
    m->secret = secret_alloc(sizeof *m->secret);
    if (m->secret)
        memcpy(m->secret->bytes, user->secret, sizeof m->secret->bytes);
    m->recovery = user->has_recovery ? secret_alloc(sizeof user->recovery) : NULL;
    if (m->recovery)
        memcpy(m->recovery, user->recovery, sizeof user->recovery);
    bool enough = m->secret && (m->recovery || !user->has_recovery);
    *ret_default_src = strdup(user->default_src);
    lockclient_user_free(user);
    if (!enough || !*ret_default_src)
        return no_memory(m);
    struct lockclient_parcel_cfg cfg;
    r = lockclient_parcel_cfg(m->client, source->parcel, &cfg, &error);
    if (r == 0)
        return failure_set(m->failure, OUTCOME_FAILED, "there is a parcel %s already",
                           source->parcel);
    return r == -ENOENT ? 0 : server_failure(m->failure, source, r, &error);
}

static int make_tools(struct import *m)
{
    struct codec_settings settings;
    if (site_codec_settings(m->site, &settings) < 0)
        return failure_set(m->failure, OUTCOME_FAILED, "isr.conf must be put right first");
    m->codec = codec_new(&settings);
    if (!m->codec)
        return failure_set(m->failure, OUTCOME_FAILED,
                           "COMPRESSION and COMPRESSION_LEVEL in isr.conf: %s", strerror(errno));
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    m->pool = pool_new(cpus < 1 ? 1 : cpus > 64 ? 64 : (unsigned)cpus, POOL_QUEUE);
    uint8_t random[STORE_UUID_HEX / 2];
    if (!m->pool || random_bytes(random, sizeof random) < 0)
        return failure_set(m->failure, OUTCOME_FAILED, "cannot start: %s", strerror(errno));
    hex_encode(m->uuid, random, sizeof random);
    return 0;
}

/* How much a store of 128 KiB chunks would hold with as many chunks. */
static uint64_t fanout_bytes(const struct import *m, uint32_t chunk_size)
{
    uint64_t chunks = m->bytes / chunk_size + 1;
    return chunks > INT64_MAX / CHUNK_SIZE_DEFAULT ? INT64_MAX : chunks * CHUNK_SIZE_DEFAULT;
}

static int open_home(struct import *m, const char *src, uint32_t chunk_size)
{
    int r = home_url(src, &m->src, m->failure);
    const char *path = r < 0 ? NULL : home_folder(m->src, m->failure);
    if (!path)
        return r < 0 ? r : -EINVAL;
    char clean[256];
    log_clean(clean, sizeof clean, path);
    enum folder_fanout fanout = folder_fanout_for(fanout_bytes(m, chunk_size));
    struct home_limits limits;
    r = home_limits(m->site, &limits, m->failure);
    if (r < 0)
        return r;
    struct folder_config config = {
        .path = path, .codec = m->codec, .counters = &m->counters, .pool = m->pool};
    r = home_open(&config, &limits, &fanout, &m->home, m->store_uuid);
    if (r == -ENOTEMPTY)
        return failure_set(
            m->failure, OUTCOME_FAILED,
            "%s is not empty and holds no isrfs store; give an empty or a new folder", clean);
    return r < 0 ? failure_set(m->failure, OUTCOME_UNREACHABLE,
                               "cannot make or open a store at %s: %s", clean, strerror(-r))
                 : 0;
}

/* --- content --- */

/* Enters the folders above PATH that are not there yet. */
static int add_folders(struct import *m, const char *path)
{
    CLEANUP_FREE char *folder = strdup(path);
    if (!folder)
        return -ENOMEM;
    for (char *slash = strchr(folder, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        struct catalog_entry entry = {.file_id = m->catalog->next_file_id,
                                      .path = folder,
                                      .is_folder = true,
                                      .mode = 0700,
                                      .mtime = {.tv_sec = time(NULL)}};
        int r = 0;
        if (!catalog_find(m->catalog, folder)) {
            r = catalog_add(m->catalog, &entry);
            m->catalog->next_file_id++;
        }
        *slash = '/';
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_file(struct import *m, struct import_target *target, size_t i)
{
    const struct import_source_info *info = import_source_info(m->sources[i]);
    if (add_folders(m, m->names[i]) < 0)
        return no_memory(m);
    const char *slash = strrchr(m->names[i], '/'), *name = slash ? slash + 1 : m->names[i];
    struct catalog_entry entry = {.file_id = m->catalog->next_file_id++,
                                  .path = m->names[i],
                                  .is_volatile = catalog_name_is_volatile(name),
                                  .mode = info->mode | 0600,
                                  .mtime = info->mtime};
    int r = import_file(target, m->sources[i], m->names[i], &entry, m->failure);
    if (r == 0 && catalog_add(m->catalog, &entry) < 0)
        r = no_memory(m);
    secret_wipe(&entry.root, sizeof entry.root);
    return r;
}

static int store_files(struct import *m, uint32_t chunk_size, const struct progress *progress,
                       uint64_t *ret_data_bytes)
{
    struct import_target target = {.codec = m->codec,
                                   .pool = m->pool,
                                   .store = m->home,
                                   .secret = m->secret,
                                   .progress = progress,
                                   .chunk_size = chunk_size,
                                   .total = m->bytes};
    m->catalog = catalog_new();
    if (!m->catalog)
        return no_memory(m);
    int r = 0;
    for (size_t i = 0; r == 0 && i < m->config->count; i++)
        r = add_file(m, &target, i);
    *ret_data_bytes = target.data_bytes;
    return r;
}

/* --- the first version --- */

static int note(struct import *m)
{
    struct begun_parcel parcel = {.source = m->config->source,
                                  .parcel = m->config->source->parcel,
                                  .uuid = m->uuid,
                                  .src = m->src,
                                  .catalog = &m->keyroot.id};
    int r = begun_note(m->site, &parcel, &m->begun);
    return r < 0 ? failure_set(m->failure, OUTCOME_FAILED, "%s cannot be written: %s",
                               m->site->home, strerror(-r))
                 : 0;
}

static int store_version(struct import *m)
{
    CLEANUP_BUFFER struct buffer object = {0};
    struct version_seal seal = {.recovery = m->recovery, .parcel = m->config->source->parcel};
    int r = catalog_encode(m->codec, m->secret, m->catalog, &object, &m->keyroot);
    r = r < 0 ? r : store_put(m->home, &m->keyroot.id, object.data, object.size);
    r = r < 0 ? r : store_barrier(m->home);
    if (r == 0 && (r = note(m)) < 0)
        return r;
    r = r < 0 ? r : version_put(m->home, m->uuid, 1, &m->keyroot, &seal);
    r = r < 0 ? r : store_barrier(m->home);
    return r < 0 ? failure_set(m->failure, outcome_of(r), "the store cannot be written: %s",
                               strerror(-r))
                 : 0;
}

/* The recovery key is told with the first parcel. */
static int is_first_parcel(struct import *m, bool *ret)
{
    struct lockclient_list list;
    struct lockclient_error error = {0};
    *ret = false;
    int r = m->recovery ? lockclient_list(m->client, &list, &error) : -ENODATA;
    if (r < 0)
        return r == -ENODATA ? 0 : server_failure(m->failure, m->config->source, r, &error);
    *ret = list.count == 0;
    lockclient_list_free(&list);
    return 0;
}

/* Was it refused for good, so that there surely is no such parcel? */
static bool refused(int r)
{
    return r == -EEXIST || r == -EINVAL || r == -EREMOTEIO || r == -ESTALE;
}

static int create_parcel(struct import *m)
{
    const struct source *source = m->config->source;
    CLEANUP_SECRET uint8_t *keyroot = secret_alloc(LOCKCLIENT_KEYROOT_SIZE);
    if (!keyroot)
        return no_memory(m);
    memcpy(keyroot, m->keyroot.key.bytes, sizeof m->keyroot.key.bytes);
    memcpy(keyroot + sizeof m->keyroot.key.bytes, m->keyroot.id.bytes, sizeof m->keyroot.id.bytes);
    struct lockclient_create create = {
        .version = {.keyroot = keyroot,
                    .size = m->bytes,
                    .newbytes = atomic_load(&m->counters.store_put_bytes),
                    .comment = m->config->comment},
        .uuid = m->uuid,
        .store = m->store_uuid,
        .src = m->src};
    struct lockclient_error error = {0};
    int r = lockclient_create(m->client, source->parcel, &create, &error);
    if (r < 0 && !refused(r))
        r = lockclient_create(m->client, source->parcel, &create, &error); /* done once only */
    if (r == 0 || (refused(r) && version_remove(m->home, m->uuid, 1, &m->keyroot.id) == 0))
        begun_end(steal_ptr(m->begun));
    return r == 0 ? 0 : server_failure(m->failure, source, r, &error);
}

/* --- */

static int run(struct import *m, const struct progress *progress, struct import_result *ret)
{
    const struct import_config *config = m->config;
    uint32_t chunk_size = config->chunk_size ? config->chunk_size : CHUNK_SIZE_DEFAULT;
    if (chunk_size < CHUNK_SIZE_MIN || chunk_size > CHUNK_SIZE_MAX ||
        (chunk_size & (chunk_size - 1)) != 0)
        return failure_set(m->failure, OUTCOME_USAGE,
                           "a chunk size is a power of two from 16K to 4M");
    int r = open_sources(m);
    if (r < 0)
        return r;
    ret->embedded = server_is_folder(config->source);
    ret->first = ret->embedded && access(config->source->server, F_OK) < 0;
    CLEANUP_FREE char *default_src = NULL;
    bool first = false;
    r = ask_server(m, config->source, &default_src);
    r = r < 0 ? r : make_tools(m);
    r = r < 0 ? r : open_home(m, config->src ? config->src : default_src, chunk_size);
    if (r == 0)
        begun_clear(m->site, config->source, m->client, m->src, m->home);
    r = r < 0 ? r : store_files(m, chunk_size, progress, &ret->data_bytes);
    r = r < 0 ? r : store_version(m);
    r = r < 0 ? r : is_first_parcel(m, &first);
    r = r < 0 ? r : create_parcel(m);
    if (r < 0)
        return r;
    if (first)
        words_encode(m->recovery, ret->recovery);
    ret->bytes = m->bytes;
    ret->objects = atomic_load(&m->counters.store_put_objects);
    ret->stored_bytes = atomic_load(&m->counters.store_put_bytes);
    ret->src = steal_ptr(m->src);
    return 0;
}

int import_parcel(const struct site *site, const struct import_config *config,
                  const struct progress *progress, struct import_result *ret,
                  struct failure *failure)
{
    *ret = (struct import_result){0};
    CLEANUP(import_free)
    struct import m = {.site = site, .config = config, .failure = failure};
    return run(&m, progress, ret);
}
