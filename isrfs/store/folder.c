/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Objects and records as files of a folder. folder_root.c holds the folder, folder_flush.c knows
 * what is not yet durable; here is what is read and written.
 *
 * A file appears under its name only whole: it is written under a temporary name (".tmp-" and 64
 * random bits, in the same folder) and renamed. Temporary files that a crash left harm nothing.
 * Nothing that is found is believed: objects are checked by store_get, links, devices and pipes are
 * not opened, and a put reads what lies there.
 *
 * States: online with a root, or offline (root NULL). A call that finds that its root has gone
 * (ENOTCONN, ESTALE, or the marker missing from it) takes it out, which makes all puts since the
 * last barrier unknown, and is tried once more with what PATH names now; if that has not the right
 * marker the store is offline, and each later call looks again. Whoever asks, how many and from
 * which process is not assumed.
 *
 * Lock order: struct folder's lock before struct folder_flush's. Neither is held during I/O. */
#include "isrfs/store/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/store/folder_file.h"
#include "isrfs/store/folder_flush.h"
#include "isrfs/store/folder_root.h"

struct folder {
    struct store base;
    char *path;
    char name[256];                /* the same for messages */
    char uuid[STORE_UUID_HEX + 1]; /* constant */
    struct pool *pool;
    struct folder_flush *flush;
    pthread_mutex_t lock;
    struct folder_root *root; /* lock; NULL: offline */
    bool told;                /* lock: its being offline has been logged */
};

static struct folder *folder_of(struct store *s)
{
    return (struct folder *)s;
}

/* What one operation works on; each uses what it needs. */
struct request {
    const struct object_id *id;
    const char *path;
    const void *data;
    size_t size;
    bool anew;
    struct buffer *out;
};

/* Puts a freshly opened root in place, unless another thread was faster; gives the one in place. */
static struct folder_root *install(struct folder *s, struct folder_root *fresh, bool *ret_back)
{
    LOCK_SCOPE(&s->lock);
    if (!s->root) {
        fresh->generation = folder_flush_generation(s->flush);
        s->root = folder_root_keep(fresh);
        *ret_back = s->told;
        s->told = false;
    }
    return folder_root_keep(s->root);
}

/* True for the first who finds it offline. */
static bool first_to_tell(struct folder *s)
{
    LOCK_SCOPE(&s->lock);
    bool told = s->told;
    s->told = true;
    return !told;
}

/* The root, opened again if the store was offline. */
static int enter(struct folder *s, struct folder_root **ret)
{
    {
        LOCK_SCOPE(&s->lock);
        if (s->root) {
            *ret = folder_root_keep(s->root);
            return 0;
        }
    }
    const char *reason;
    bool back = false;
    CLEANUP_FOLDER_ROOT struct folder_root *fresh = NULL;
    int r = folder_root_open(s->path, s->uuid, &fresh, &reason);
    if (r == 0)
        *ret = install(s, fresh, &back);
    else if (reason && first_to_tell(s))
        log_error("store %s is offline: %s", s->name, reason);
    if (back)
        log_info("store %s is back", s->name);
    return r;
}

/* Takes a root that has gone out of the store. */
static void leave(struct folder *s, struct folder_root *gone)
{
    LOCK_SCOPE(&s->lock);
    if (s->root != gone)
        return;
    s->root = NULL;
    folder_flush_lose(s->flush, -EHOSTDOWN);
    folder_root_drop(gone);
}

/* Runs STEP on the root, and once more on a new one if that has gone. */
static int run(struct folder *s, int (*step)(struct folder *s, struct folder_root *root, void *arg),
               void *arg)
{
    for (int tries = 0; tries < 2; tries++) {
        CLEANUP_FOLDER_ROOT struct folder_root *root = NULL;
        int r = enter(s, &root);
        if (r < 0)
            return r;
        r = step(s, root, arg);
        if (r == -ETIMEDOUT || r == -ECONNABORTED || r == -ECONNRESET || r == -EHOSTUNREACH)
            return -EHOSTDOWN;
        if (r != -ENOTCONN && r != -ESTALE)
            return r;
        leave(s, root);
    }
    return -EHOSTDOWN;
}

/* -ENOENT as it is, but -ESTALE if the store's marker is missing too: then the store is. */
static int missing(const struct folder_root *root)
{
    return folder_root_alive(root) ? -ENOENT : -ESTALE;
}

static int get_step(struct folder *s, struct folder_root *root, void *arg)
{
    struct request *w = arg;
    char path[FOLDER_FILE_PATH_ROOM];
    folder_file_object_path(path, "chunks", root->fanout, w->id);
    int r = folder_file_read(root, path, OBJECT_SIZE_MAX, w->out);
    if (r == -ENOENT) {
        /* a garbage collection may have set it aside; it is still good */
        folder_file_object_path(path, "quarantine", root->fanout, w->id);
        r = folder_file_read(root, path, OBJECT_SIZE_MAX, w->out);
    }
    if (r == -EBADMSG)
        log_error("store %s: %s is no object: not a file, or too large", s->name, path);
    return r == -ENOENT ? missing(root) : r;
}

static int folder_get(struct store *s, const struct object_id *id, struct buffer *out)
{
    return run(folder_of(s), get_step, &(struct request){.id = id, .out = out});
}

static int has_step(struct folder *s, struct folder_root *root, void *arg)
{
    (void)s;
    struct request *w = arg;
    struct stat st;
    char path[FOLDER_FILE_PATH_ROOM];
    folder_file_object_path(path, "chunks", root->fanout, w->id);
    if (fstatat(root->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISREG(st.st_mode);
    if (errno != ENOENT)
        return -errno;
    int r = missing(root);
    return r == -ENOENT ? 0 : r;
}

static int folder_has(struct store *s, const struct object_id *id)
{
    return run(folder_of(s), has_step, &(struct request){.id = id});
}

/* A descriptor of the object at PATH if its bytes are what ID names. It is read from the disk, as
 * far as the kernel can be made to: after a failed write-back its memory shows what the disk does
 * not have. -ENOENT, -EBADMSG if it is damaged. */
static int open_good(struct folder *s, const struct folder_root *root, const char *path,
                     const struct request *w)
{
    size_t size;
    CLEANUP_CLOSE int fd = folder_file_open(root, path, OBJECT_SIZE_MAX, &size);
    if (fd < 0)
        return fd;
    CLEANUP_BUFFER struct buffer there = {0};
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    int r = folder_file_read_fd(fd, size, &there);
    if (r < 0)
        return r;
    if (there.size == w->size && memcmp(there.data, w->data, w->size) == 0)
        return steal_fd(&fd);
    struct object_id found;
    r = codec_digest(s->base.codec, there.data, there.size, &found);
    if (r < 0)
        return r;
    return object_id_equal(&found, w->id) ? steal_fd(&fd) : -EBADMSG;
}

/* The object's descriptor, whether it was there or has been written, or negative errno. */
static int put_object(struct folder *s, const struct folder_root *root, const char *path,
                      const struct request *w, bool look)
{
    if (look) {
        int fd = open_good(s, root, path, w);
        if (fd >= 0 || fd == -ENOTCONN || fd == -ESTALE || fd == -ENOMEM)
            return fd;
        if (fd == -EBADMSG) {
            COUNT(s->base.counters, objects_damaged, 1);
            log_warning("store %s: %s is damaged and is replaced", s->name, path);
        }
    }
    return folder_file_write(root, path, w->data, w->size);
}

/* Puts an object (ID is given) or a record. */
static int put_step(struct folder *s, struct folder_root *root, void *arg)
{
    const struct request *w = arg;
    char path[FOLDER_FILE_PATH_ROOM];
    if (w->id)
        folder_file_object_path(path, "chunks", root->fanout, w->id);
    else
        snprintf(path, sizeof path, "%s", w->path);
    enum folder_flush_todo todo;
    int r = folder_flush_begin(s->flush, path, !w->id || w->anew, &todo);
    if (r < 0 || todo == FOLDER_FLUSH_DONE)
        return r;
    int fd = w->id ? put_object(s, root, path, w, todo == FOLDER_FLUSH_LOOK)
                   : folder_file_write(root, path, w->data, w->size);
    if (fd < 0) {
        folder_flush_failed(s->flush, path);
        return fd == -ENOENT ? missing(root) : fd; /* the whole store may have been removed */
    }
    /* A failure of this one is remembered, for the barrier to report. It does without the pool,
     * since the caller may be one of its jobs. */
    if (folder_flush_written(s->flush, path, root->generation, fd))
        folder_flush_run(s->flush, root, NULL);
    return 0;
}

static int folder_put(struct store *s, const struct object_id *id, const void *object, size_t size)
{
    return run(folder_of(s), put_step, &(struct request){.id = id, .data = object, .size = size});
}

int folder_put_anew(struct store *s, const struct object_id *id, const void *object, size_t size)
{
    struct request w = {.id = id, .data = object, .size = size, .anew = true};
    return s->ops->put ? run(folder_of(s), put_step, &w) : -EROFS;
}

static int folder_put_record(struct store *s, const char *name, const void *data, size_t size)
{
    return run(folder_of(s), put_step, &(struct request){.path = name, .data = data, .size = size});
}

static int remove_step(struct folder *s, struct folder_root *root, void *arg)
{
    const struct request *w = arg;
    char path[FOLDER_FILE_PATH_ROOM];
    if (w->id)
        folder_file_object_path(path, "chunks", root->fanout, w->id);
    else
        snprintf(path, sizeof path, "%s", w->path);
    enum folder_flush_todo todo;
    int r = folder_flush_begin(s->flush, path, true, &todo);
    if (r < 0)
        return r;
    r = io_unlink(root->fd, path);
    if (r == 0 || r == -ENOENT) {
        int touched = folder_flush_removed(s->flush, path);
        return r < 0 ? missing(root) : touched;
    }
    folder_flush_failed(s->flush, path);
    return r;
}

static int folder_remove(struct store *s, const struct object_id *id)
{
    return run(folder_of(s), remove_step, &(struct request){.id = id});
}

static int folder_remove_record(struct store *s, const char *name)
{
    return run(folder_of(s), remove_step, &(struct request){.path = name});
}

static int get_record_step(struct folder *s, struct folder_root *root, void *arg)
{
    (void)s;
    const struct request *w = arg;
    int r = folder_file_read(root, w->path, STORE_RECORD_MAX, w->out);
    return r == -ENOENT ? missing(root) : r;
}

static int folder_get_record(struct store *s, const char *name, struct buffer *out)
{
    return run(folder_of(s), get_record_step, &(struct request){.path = name, .out = out});
}

struct listing {
    const char *folder;
    int (*fn)(void *ctx, const char *name);
    void *ctx;
    int result; /* what fn said: kept apart from what the system said */
};

static int list_name(void *ctx, const char *name)
{
    struct listing *l = ctx;
    if (!store_record_part_valid(name, strlen(name)))
        return 0;
    l->result = l->fn(l->ctx, name);
    return l->result != 0;
}

static int list_step(struct folder *s, struct folder_root *root, void *arg)
{
    (void)s;
    struct listing *l = arg;
    int r = io_each_name(root->fd, l->folder, list_name, l);
    if (r == -ENOENT)
        r = missing(root);
    return r == -ENOENT || r > 0 ? 0 : r;
}

static int folder_each_record(struct store *s, const char *folder,
                              int (*fn)(void *ctx, const char *name), void *ctx)
{
    struct listing l = {folder, fn, ctx, 0};
    int r = run(folder_of(s), list_step, &l);
    return r < 0 ? r : l.result;
}

/* What was put must be where PATH leads, else nobody else will see it. */
static int barrier_step(struct folder *s, struct folder_root *root, void *arg)
{
    (void)arg;
    if (!folder_root_is(root, s->path))
        return -ESTALE;
    return folder_flush_run(s->flush, root, s->pool);
}

static int folder_barrier(struct store *s)
{
    return run(folder_of(s), barrier_step, NULL);
}

static void folder_put_again(struct store *s)
{
    folder_flush_forgive(folder_of(s)->flush);
}

static void folder_free(struct store *store)
{
    struct folder *s = folder_of(store);
    folder_flush_free(s->flush);
    folder_root_drop(s->root);
    pthread_mutex_destroy(&s->lock);
    free(s->path);
    free(s);
}

static const struct store_ops read_write = {
    .get = folder_get,
    .put = folder_put,
    .has = folder_has,
    .barrier = folder_barrier,
    .put_again = folder_put_again,
    .remove = folder_remove,
    .put_record = folder_put_record,
    .get_record = folder_get_record,
    .remove_record = folder_remove_record,
    .each_record = folder_each_record,
    .free = folder_free,
};

static const struct store_ops read_only = {
    .get = folder_get,
    .has = folder_has,
    .get_record = folder_get_record,
    .each_record = folder_each_record,
    .free = folder_free,
};

/* Opens the folder; whether it can be written is said now, not when something must be. */
static int open_first(const struct folder_config *config, struct folder_root **ret)
{
    const char *reason;
    CLEANUP_FOLDER_ROOT struct folder_root *root = NULL;
    int r = folder_root_open(config->path, config->uuid, &root, &reason);
    if (r == 0 && !config->read_only && faccessat(root->fd, ".", W_OK, AT_EACCESS) < 0 &&
        (errno == EACCES || errno == EROFS)) {
        r = -errno;
        reason = "it may not be written";
    }
    char name[256];
    if (r < 0 && reason)
        log_error("store %s cannot be used: %s", log_clean(name, sizeof name, config->path),
                  reason);
    if (r == 0)
        *ret = steal_ptr(root);
    return r;
}

int folder_open(const struct folder_config *config, struct store **ret)
{
    CLEANUP_FOLDER_ROOT struct folder_root *root = NULL;
    int r = open_first(config, &root);
    if (r < 0)
        return r;
    struct folder *s = calloc(1, sizeof *s);
    char *path = realpath(config->path, NULL); /* the working directory may change */
    struct folder_flush *flush = folder_flush_new();
    if (!s || !path || !flush) {
        free(s);
        free(path);
        folder_flush_free(flush);
        return -ENOMEM;
    }
    s->base = (struct store){
        .ops = config->read_only ? &read_only : &read_write,
        .name = s->name,
        .codec = config->codec,
        .counters = config->counters,
    };
    s->path = path;
    log_clean(s->name, sizeof s->name, path);
    s->pool = config->pool;
    s->flush = flush;
    pthread_mutex_init(&s->lock, NULL);
    memcpy(s->uuid, root->uuid, sizeof s->uuid);
    s->root = steal_ptr(root);
    *ret = &s->base;
    return 0;
}

const char *folder_uuid(const struct store *s)
{
    return ((const struct folder *)s)->uuid;
}
