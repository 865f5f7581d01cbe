/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each file that was put and is not durable has an entry:
 *
 *   (none) --begin--> WRITING --written--> PUT --run--> FLUSHING --good--> (none)
 *                        ^                  ^               |
 *                        |                  |             failed
 *                        +------begin---- LOST <------------+      (also from PUT, by lose)
 *
 * A LOST file may be forgiven: it is written anew all the same, but nobody waits for that.
 *
 * Invariants: one thread at a time works on a WRITING or FLUSHING entry, and only it changes or
 * frees the entry; others that want the same file wait. A barrier succeeds only if no entry is
 * LOST and not forgiven. A LOST file is written anew however good it looks: after a failed fsync
 * the kernel may show the bytes from memory, call them clean, and report the next fsync as good.
 *
 * For the same reason a file's descriptor is kept from the write to the barrier (the first
 * FOLDER_FILES_HELD of them): the kernel reports a failed write-back once to each descriptor that
 * was open then. Beyond that number one syncfs on the root's descriptor, opened before any put,
 * takes the place of the fsyncs on local file systems; on others the files are opened again.
 *
 * Folders whose names changed are flushed after the files, with those above them. `lock` guards all
 * of struct folder_flush and the entries' state; it is not held during I/O. */
#include "isrfs/store/folder_flush.h"

#include <errno.h>
#include <string.h>

#define HASH_NONFATAL_OOM           1
#define uthash_nonfatal_oom(failed) ((void)(failed))
#include <uthash.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/io.h"

#ifndef FOLDER_FILES_HELD /* a test has fewer files */
#define FOLDER_FILES_HELD 256u
#endif
#define FILES_MAX 32768u /* then a barrier is run to bound the memory */

enum state { WRITING, PUT, FLUSHING, LOST };

struct file {
    UT_hash_handle hh;
    enum state state;
    enum state before; /* WRITING: what to go back to; WRITING itself if there was nothing */
    bool forgiven;     /* LOST: no barrier fails for it */
    int fd;            /* or -1. While FLUSHING the barrier's, without the lock */
    char path[];
};

struct touched {
    UT_hash_handle hh;
    char path[];
};

struct folder_flush {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct file *files;      /* all below: lock */
    struct touched *folders; /* folders in which a name changed since the last good barrier */
    size_t put;              /* files in state PUT */
    size_t lost;             /* LOST, or WRITING since */
    size_t replaced;         /* WRITING that were PUT: a barrier waits for them */
    size_t held;             /* descriptors in PUT files */
    unsigned generation;
    bool running;
    int error; /* why files are LOST */
};

/* What one barrier flushes. */
struct batch {
    const struct folder_root *root;
    struct file **files;
    size_t file_count;
    struct touched **folders;
    size_t folder_count;
};

struct folder_flush *folder_flush_new(void)
{
    struct folder_flush *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    return f;
}

static void close_fd(struct file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

/* Adds SIGN to the counts that FILE is part of. */
static void count(struct folder_flush *f, const struct file *file, size_t sign)
{
    if (file->state == PUT) {
        f->put += sign;
        f->held += file->fd >= 0 ? sign : 0;
    } else if (file->state == LOST || (file->state == WRITING && file->before == LOST)) {
        f->lost += file->forgiven ? 0 : sign; /* it stays lost until it is written */
    } else if (file->state == WRITING && file->before == PUT) {
        f->replaced += sign;
    }
}

/* Every change of a file's state and descriptor goes through here. The old descriptor is the
 * caller's. */
static int set(struct folder_flush *f, struct file *file, enum state state, int fd)
{
    int old = file->fd;
    count(f, file, (size_t)-1);
    if (state == WRITING)
        file->before = file->state;
    else
        file->forgiven = false;
    file->state = state;
    file->fd = fd;
    count(f, file, 1);
    if (f->lost == 0)
        f->error = 0;
    return old;
}

/* Likewise to LOST. */
static int lose(struct folder_flush *f, struct file *file, int error)
{
    int old = set(f, file, LOST, -1);
    if (f->error == 0)
        f->error = error;
    return old;
}

static void forgive(struct folder_flush *f, struct file *file, bool forgiven)
{
    count(f, file, (size_t)-1);
    file->forgiven = forgiven;
    count(f, file, 1);
    if (f->lost == 0)
        f->error = 0;
}

/* Drops the entry; its descriptor is the caller's. */
static int forget(struct folder_flush *f, struct file *file)
{
    int fd = file->fd;
    count(f, file, (size_t)-1);
    if (f->lost == 0)
        f->error = 0;
    HASH_DEL(f->files, file);
    free(file);
    return fd;
}

void folder_flush_free(struct folder_flush *f)
{
    if (!f)
        return;
    while (f->files) {
        close_fd(f->files);
        forget(f, f->files);
    }
    while (f->folders) {
        struct touched *folder = f->folders;
        HASH_DEL(f->folders, folder);
        free(folder);
    }
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static struct file *find(struct folder_flush *f, const char *path)
{
    struct file *file;
    HASH_FIND_STR(f->files, path, file);
    return file;
}

static struct file *add_file(struct folder_flush *f, const char *path)
{
    size_t length = strlen(path);
    struct file *file = calloc(1, sizeof *file + length + 1);
    if (!file)
        return NULL;
    file->state = file->before = WRITING;
    file->fd = -1;
    memcpy(file->path, path, length);
    HASH_ADD_STR(f->files, path, file);
    if (file->hh.tbl)
        return file;
    free(file);
    return NULL;
}

static int touch(struct folder_flush *f, const char *path, size_t length)
{
    struct touched *folder;
    HASH_FIND(hh, f->folders, path, length, folder);
    if (folder)
        return 0;
    folder = calloc(1, sizeof *folder + length + 1);
    if (!folder)
        return -ENOMEM;
    memcpy(folder->path, path, length);
    HASH_ADD(hh, f->folders, path, length, folder);
    if (folder->hh.tbl)
        return 0;
    free(folder);
    return -ENOMEM;
}

/* The folder that PATH is in and those above it, any of which may have been made for it. */
static int touch_parents(struct folder_flush *f, const char *path)
{
    int r = touch(f, ".", 1);
    for (const char *at = strchr(path, '/'); at && r == 0; at = strchr(at + 1, '/'))
        r = touch(f, path, (size_t)(at - path));
    return r;
}

int folder_flush_begin(struct folder_flush *f, const char *path, bool anew,
                       enum folder_flush_todo *ret)
{
    LOCK_SCOPE(&f->lock);
    struct file *file;
    while ((file = find(f, path)) && (file->state == WRITING || file->state == FLUSHING))
        pthread_cond_wait(&f->changed, &f->lock);
    if (!file) {
        if (f->lost >= FILES_MAX)
            return f->error;
        *ret = anew ? FOLDER_FLUSH_REPLACE : FOLDER_FLUSH_LOOK;
        return add_file(f, path) ? 0 : -ENOMEM;
    }
    if (file->state == PUT && !anew) {
        *ret = FOLDER_FLUSH_DONE;
        return 0;
    }
    *ret = FOLDER_FLUSH_REPLACE;
    set(f, file, WRITING, file->fd);
    return 0;
}

/* Closes a descriptor that there is no room to keep. Some network file systems write, and say what
 * went wrong, only now. */
static int close_unheld(struct folder_flush *f, int *fd)
{
    {
        LOCK_SCOPE(&f->lock);
        if (f->held < FOLDER_FILES_HELD)
            return 0;
    }
    return close(steal_fd(fd)) < 0 && errno != EINTR ? -errno : 0;
}

bool folder_flush_written(struct folder_flush *f, const char *path, unsigned generation, int fd)
{
    CLEANUP_CLOSE int old = -1, fresh = fd;
    int r = close_unheld(f, &fresh);
    LOCK_SCOPE(&f->lock);
    struct file *file = find(f, path);
    if (r == 0)
        r = generation == f->generation ? touch_parents(f, path) : -EHOSTDOWN;
    if (r < 0)
        old = lose(f, file, r);
    else
        old = set(f, file, PUT, steal_fd(&fresh));
    pthread_cond_broadcast(&f->changed);
    return f->put >= FILES_MAX;
}

void folder_flush_failed(struct folder_flush *f, const char *path)
{
    LOCK_SCOPE(&f->lock);
    struct file *file = find(f, path);
    bool forgiven = file->forgiven;
    if (file->before == WRITING) {
        forget(f, file);
    } else {
        set(f, file, file->before, file->fd);
        forgive(f, file, forgiven);
    }
    pthread_cond_broadcast(&f->changed);
}

int folder_flush_removed(struct folder_flush *f, const char *path)
{
    CLEANUP_CLOSE int old = -1;
    LOCK_SCOPE(&f->lock);
    old = forget(f, find(f, path));
    pthread_cond_broadcast(&f->changed);
    return touch_parents(f, path);
}

void folder_flush_lose(struct folder_flush *f, int error)
{
    LOCK_SCOPE(&f->lock);
    f->generation++;
    for (struct file *file = f->files; file; file = file->hh.next) {
        bool replaced = file->state == WRITING && file->before == PUT;
        if (file->state != PUT && !replaced)
            continue;
        count(f, file, (size_t)-1);
        file->state = replaced ? WRITING : LOST;
        file->before = LOST;
        file->forgiven = false;
        count(f, file, 1);
        if (f->error == 0)
            f->error = error;
    }
    pthread_cond_broadcast(&f->changed);
}

void folder_flush_forgive(struct folder_flush *f)
{
    LOCK_SCOPE(&f->lock);
    bool many = HASH_COUNT(f->files) > FILES_MAX; /* they must not become ever more */
    struct file *file, *next;
    HASH_ITER(hh, f->files, file, next)
    {
        if (file->state == LOST && many)
            forget(f, file);
        else if (file->state == LOST || (file->state == WRITING && file->before == LOST))
            forgive(f, file, true);
    }
}

unsigned folder_flush_generation(struct folder_flush *f)
{
    LOCK_SCOPE(&f->lock);
    return f->generation;
}

/* Takes what was put so far into the batch. */
static int gather(struct folder_flush *f, struct batch *b)
{
    b->files = calloc(f->put + 1, sizeof *b->files);
    b->folders = calloc(HASH_COUNT(f->folders) + 1, sizeof *b->folders);
    if (!b->files || !b->folders)
        return -ENOMEM;
    for (struct file *file = f->files; file; file = file->hh.next) {
        if (file->state != PUT)
            continue;
        set(f, file, FLUSHING, file->fd);
        b->files[b->file_count++] = file;
    }
    while (f->folders) {
        struct touched *folder = f->folders;
        HASH_DEL(f->folders, folder);
        b->folders[b->folder_count++] = folder;
    }
    return 0;
}

static int flush_file(void *ctx, size_t i)
{
    struct batch *b = ctx;
    struct file *file = b->files[i];
    int fd = file->fd;
    file->fd = -1;
    if (fd < 0)
        fd = io_open_read(b->root->fd, file->path);
    if (fd < 0)
        return fd;
    int r = io_fsync(fd);
    /* some network file systems write, and say what went wrong, only now */
    if (close(fd) < 0 && errno != EINTR && r == 0)
        r = -errno;
    return r;
}

static int flush_folder(void *ctx, size_t i)
{
    struct batch *b = ctx;
    int r = io_fsync_dir(b->root->fd, b->folders[i]->path);
    /* it was never made, or its file system knows no such thing */
    return r == -ENOENT || r == -EINVAL ? 0 : r;
}

static int each(struct pool *pool, size_t count, int (*fn)(void *ctx, size_t i), struct batch *b)
{
    if (pool)
        return pool_each(pool, count, fn, b);
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++)
        r = fn(b, i);
    return r;
}

static int flush(struct batch *b, struct pool *pool)
{
    if (b->file_count == 0 && b->folder_count == 0)
        return 0;
    if (b->root->local && b->file_count > FOLDER_FILES_HELD)
        return io_syncfs(b->root->fd);
    int r = each(pool, b->file_count, flush_file, b);
    return r < 0 ? r : each(pool, b->folder_count, flush_folder, b);
}

/* Forgets what is durable; what is not stays, LOST. The files' descriptors are closed already. */
static void settle(struct folder_flush *f, struct batch *b, int result)
{
    for (size_t i = 0; i < b->file_count; i++) {
        if (result < 0)
            lose(f, b->files[i], result);
        else
            forget(f, b->files[i]);
    }
    for (size_t i = 0; i < b->folder_count; i++) {
        struct touched *folder = b->folders[i], *other;
        HASH_FIND_STR(f->folders, folder->path, other);
        if (result < 0 && !other) {
            HASH_ADD_STR(f->folders, path, folder);
            if (folder->hh.tbl)
                continue;
        }
        free(folder);
    }
}

int folder_flush_run(struct folder_flush *f, const struct folder_root *root, struct pool *pool)
{
    struct batch b = {.root = root};
    int r;
    {
        LOCK_SCOPE(&f->lock);
        while (f->running || f->replaced > 0)
            pthread_cond_wait(&f->changed, &f->lock);
        f->running = true;
        r = root->generation == f->generation ? gather(f, &b) : -EHOSTDOWN;
    }
    if (r == 0)
        r = flush(&b, pool);
    for (size_t i = 0; i < b.file_count; i++)
        close_fd(b.files[i]);
    {
        LOCK_SCOPE(&f->lock);
        settle(f, &b, r);
        if (r == 0)
            r = f->error;
        f->running = false;
        pthread_cond_broadcast(&f->changed);
    }
    free(b.files);
    free(b.folders);
    return r;
}
