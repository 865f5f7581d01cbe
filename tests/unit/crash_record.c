/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files are known by device and inode number, so that it does not matter by which path or
 * descriptor they are reached; a number is given to a new file when it is created, because the file
 * system uses inode numbers again.
 *
 * The calls are wrapped under the names that they have with 64 bit offsets, which the whole project
 * is compiled with.
 *
 * Names change with `lock` held, so that their order here is that on the disk. A write is noted
 * before it is done, and is covered only by a flush that began after its end. */
#include "tests/unit/crash_trace_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uthash.h>

#include "isrfs/base/cleanup.h"

struct known {
    struct {
        dev_t dev;
        ino_t ino;
    } key;
    unsigned node;
    UT_hash_handle hh;
};

static struct {
    pthread_mutex_t lock;
    struct crash_trace *trace; /* lock; NULL: nothing is recorded */
    struct known *known;       /* lock */
    long left;                 /* lock; operations before the process is killed; -1: it is not */
    bool fail_flush;           /* lock; the next one fails */
} recorder = {.lock = PTHREAD_MUTEX_INITIALIZER, .left = -1};

/* --- what is known, with the lock --- */

static void forget_known(void)
{
    struct known *k, *next;
    HASH_ITER(hh, recorder.known, k, next)
    {
        HASH_DEL(recorder.known, k);
        free(k);
    }
}

static struct known *find(const struct stat *st)
{
    struct known probe, *found;
    memset(&probe, 0, sizeof probe);
    probe.key.dev = st->st_dev;
    probe.key.ino = st->st_ino;
    HASH_FIND(hh, recorder.known, &probe.key, sizeof probe.key, found);
    return found;
}

static void know(const struct stat *st, unsigned node)
{
    struct known *k = find(st);
    if (!k) {
        k = calloc(1, sizeof *k);
        if (!k)
            crash_trace_give_up("nodes");
        k->key.dev = st->st_dev;
        k->key.ino = st->st_ino;
        HASH_ADD(hh, recorder.known, key, sizeof k->key, k);
    }
    k->node = node;
}

void crash_trace_start(const char *path)
{
    LOCK_SCOPE(&recorder.lock);
    forget_known();
    recorder.trace = crash_trace_read_tree(path, know);
}

struct crash_trace *crash_trace_stop(void)
{
    LOCK_SCOPE(&recorder.lock);
    forget_known();
    return steal_ptr(recorder.trace);
}

void crash_trace_kill_after(long count)
{
    LOCK_SCOPE(&recorder.lock);
    recorder.left = count;
}

bool crash_trace_is_killed(void)
{
    LOCK_SCOPE(&recorder.lock);
    return recorder.left == 0;
}

void crash_trace_fail_flush(bool fail)
{
    LOCK_SCOPE(&recorder.lock);
    recorder.fail_flush = fail;
}

void crash_trace_revive(void)
{
    crash_trace_kill_after(-1);
}

void crash_trace_mark(long value)
{
    LOCK_SCOPE(&recorder.lock);
    if (recorder.trace)
        crash_trace_add(recorder.trace, CRASH_MARK, 0)->mark = value;
}

/* --- the system calls --- */

int __real_openat64(int dirfd, const char *path, int flags, ...);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_syncfs(int fd);
int __real_ftruncate64(int fd, off_t size);
int __real_fallocate64(int fd, int mode, off_t offset, off_t size);
int __real_renameat(int from_dirfd, const char *from, int to_dirfd, const char *to);
int __real_unlinkat(int dirfd, const char *path, int flags);
int __real_mkdirat(int dirfd, const char *path, mode_t mode);
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __real_pwrite64(int fd, const void *data, size_t size, off_t offset);

int __wrap_openat64(int dirfd, const char *path, int flags, ...);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_syncfs(int fd);
int __wrap_ftruncate64(int fd, off_t size);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t size);
int __wrap_renameat(int from_dirfd, const char *from, int to_dirfd, const char *to);
int __wrap_unlinkat(int dirfd, const char *path, int flags);
int __wrap_mkdirat(int dirfd, const char *path, mode_t mode);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset);

/* With the lock: an operation on something that is recorded is to begin. True, with errno: the
 * process has been killed. */
static bool killed(void)
{
    if (recorder.left == 0) {
        errno = EIO;
        return true;
    }
    if (recorder.left > 0)
        recorder.left--;
    return false;
}

/* With the lock: is the file of this descriptor recorded? */
static bool node_of(int fd, unsigned *ret)
{
    int saved = errno;
    struct stat st;
    const struct known *k = recorder.trace && fstat(fd, &st) == 0 ? find(&st) : NULL;
    errno = saved;
    if (k)
        *ret = k->node;
    return k;
}

/* With the lock: the folder in which PATH lies, and the last part of PATH. */
static bool folder_of(int dirfd, const char *path, unsigned *ret_folder, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    *ret_name = slash ? slash + 1 : path;
    if (!recorder.trace)
        return false;
    CLEANUP_FREE char *folder =
        slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    struct stat st;
    const struct known *k = folder && fstatat(dirfd, folder, &st, 0) == 0 ? find(&st) : NULL;
    if (k)
        *ret_folder = k->node;
    return k;
}

int __wrap_openat64(int dirfd, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (!(flags & (O_CREAT | O_TRUNC)))
        return __real_openat64(dirfd, path, flags, mode);
    LOCK_SCOPE(&recorder.lock);
    struct stat st;
    unsigned folder, node;
    const char *name;
    bool recorded = folder_of(dirfd, path, &folder, &name);
    bool there = fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (recorded && killed())
        return -1;
    int fd = __real_openat64(dirfd, path, flags, mode);
    if (fd < 0 || !recorded || fstat(fd, &st) < 0)
        return fd;
    if (!there)
        know(&st, crash_trace_add_create(recorder.trace, folder, name, &st));
    else if (flags & O_TRUNC && node_of(fd, &node))
        crash_trace_add_size(recorder.trace, CRASH_RESIZE, node, 0);
    return fd;
}

int __wrap_mkdirat(int dirfd, const char *path, mode_t mode)
{
    LOCK_SCOPE(&recorder.lock);
    struct stat st;
    unsigned folder;
    const char *name;
    bool recorded = folder_of(dirfd, path, &folder, &name);
    if (recorded && killed())
        return -1;
    int r = __real_mkdirat(dirfd, path, mode);
    if (r == 0 && recorded && fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        know(&st, crash_trace_add_create(recorder.trace, folder, name, &st));
    return r;
}

int __wrap_renameat(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
    LOCK_SCOPE(&recorder.lock);
    struct stat st;
    unsigned folder, folder2;
    const char *name, *name2;
    bool recorded = folder_of(from_dirfd, from, &folder, &name) &&
                    folder_of(to_dirfd, to, &folder2, &name2) &&
                    fstatat(from_dirfd, from, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (recorded && killed())
        return -1;
    int r = __real_renameat(from_dirfd, from, to_dirfd, to);
    if (r == 0 && recorded) {
        struct crash_op *op = crash_trace_add(recorder.trace, CRASH_RENAME, find(&st)->node);
        op->folder = folder;
        op->name = strdup(name);
        op->folder2 = folder2;
        op->name2 = strdup(name2);
    }
    return r;
}

int __wrap_unlinkat(int dirfd, const char *path, int flags)
{
    LOCK_SCOPE(&recorder.lock);
    struct stat st;
    unsigned folder;
    const char *name;
    bool recorded = folder_of(dirfd, path, &folder, &name) &&
                    fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (recorded && killed())
        return -1;
    int r = __real_unlinkat(dirfd, path, flags);
    if (r == 0 && recorded) {
        struct crash_op *op = crash_trace_add(recorder.trace, CRASH_UNLINK, find(&st)->node);
        op->folder = folder;
        op->name = strdup(name);
    }
    return r;
}

#define NOT_RECORDED SIZE_MAX
#define KILLED       (SIZE_MAX - 1)

/* OFFSET -1: where the descriptor stands, or the end. Gives the operation's number. */
static size_t begin_write(int fd, const void *data, size_t size, off_t offset)
{
    LOCK_SCOPE(&recorder.lock);
    unsigned node;
    if (size == 0 || !node_of(fd, &node))
        return NOT_RECORDED;
    if (killed())
        return KILLED;
    if (offset < 0)
        offset = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    crash_trace_add_write(recorder.trace, node, data, size, (uint64_t)offset);
    size_t number = recorder.trace->count - 1;
    recorder.trace->ops[number].done = SIZE_MAX;
    return number;
}

static ssize_t end_write(size_t number, ssize_t result)
{
    LOCK_SCOPE(&recorder.lock);
    if (number != NOT_RECORDED && recorder.trace)
        recorder.trace->ops[number].done = recorder.trace->count;
    return result;
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    size_t number = begin_write(fd, data, size, -1);
    return number == KILLED ? -1 : end_write(number, __real_write(fd, data, size));
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    size_t number = begin_write(fd, data, size, offset);
    return number == KILLED ? -1 : end_write(number, __real_pwrite64(fd, data, size, offset));
}

int __wrap_ftruncate64(int fd, off_t size)
{
    LOCK_SCOPE(&recorder.lock);
    unsigned node;
    bool recorded = node_of(fd, &node);
    if (recorded && killed())
        return -1;
    int r = __real_ftruncate64(fd, size);
    if (r == 0 && recorded)
        crash_trace_add_size(recorder.trace, CRASH_RESIZE, node, (uint64_t)size);
    return r;
}

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t size)
{
    LOCK_SCOPE(&recorder.lock);
    unsigned node;
    bool recorded = node_of(fd, &node);
    if (recorded && killed())
        return -1;
    int r = __real_fallocate64(fd, mode, offset, size);
    if (r < 0 || !recorded)
        return r;
    if (mode != 0) {
        errno = EOPNOTSUPP;
        crash_trace_give_up("fallocate of that mode");
    }
    crash_trace_add_size(recorder.trace, CRASH_ALLOCATE, node, (uint64_t)(offset + size));
    return r;
}

/* With the lock: what was written to NODE since it was flushed is flushed by nobody any more. */
static void lose_writes(struct crash_trace *t, unsigned node)
{
    for (size_t i = t->count; i-- > 0;) {
        struct crash_op *op = &t->ops[i];
        if (op->node == node && op->kind == CRASH_FLUSH)
            return;
        if (op->node == node && op->kind >= CRASH_WRITE && op->kind <= CRASH_ALLOCATE)
            op->done = SIZE_MAX;
    }
}

/* Only said to be done: what comes before it counts as being on the disk. */
static int flush(int fd, enum crash_kind kind, bool data_only)
{
    LOCK_SCOPE(&recorder.lock);
    unsigned node;
    if (!node_of(fd, &node))
        return 0;
    if (killed())
        return -1;
    if (recorder.fail_flush && !recorder.trace->nodes[node].is_folder) {
        recorder.fail_flush = false;
        lose_writes(recorder.trace, node);
        errno = EIO;
        return -1;
    }
    crash_trace_add(recorder.trace, kind, node)->data_only = data_only;
    return 0;
}

int __wrap_fsync(int fd)
{
    return flush(fd, CRASH_FLUSH, false);
}

int __wrap_fdatasync(int fd)
{
    return flush(fd, CRASH_FLUSH, true);
}

int __wrap_syncfs(int fd)
{
    return flush(fd, CRASH_FLUSH_ALL, false);
}
