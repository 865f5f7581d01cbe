/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every op is the system call of its name on one of two descriptors of the file, one of them with
 * O_DIRECT. What an op changes is not looked at here: a later read finds it. */
#include "tests/exercise/target.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/io.h"

#define PAGE 4096u

struct target {
    char *path;
    int fd, direct;
    uint8_t *data; /* OP_SIZE_MAX bytes on a page of their own */
};

static int open_files(struct target *t)
{
    t->fd = open(t->path, O_RDWR | O_CLOEXEC);
    if (t->fd < 0)
        return -errno;
    t->direct = open(t->path, O_RDWR | O_DIRECT | O_CLOEXEC);
    return t->direct < 0 ? -errno : 0;
}

static int close_files(struct target *t)
{
    int r = 0;
    if (t->fd >= 0 && close(t->fd) < 0)
        r = -errno;
    if (t->direct >= 0 && close(t->direct) < 0)
        r = -errno;
    t->fd = t->direct = -1;
    return r;
}

int target_open(const char *path, struct target **ret)
{
    CLEANUP_TARGET struct target *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->fd = t->direct = -1;
    t->path = strdup(path);
    t->data = aligned_alloc(PAGE, OP_SIZE_MAX);
    if (!t->path || !t->data)
        return -ENOMEM;
    int r = open_files(t);
    if (r == 0)
        *ret = steal_ptr(t);
    return r;
}

void target_close(struct target *t)
{
    if (!t)
        return;
    close_files(t);
    free(t->data);
    free(t->path);
    free(t);
}

int target_fd(const struct target *t)
{
    return t->fd;
}

struct finding {
    uint64_t at, found;
};

/* What was read at OFFSET: N bytes of SIZE. */
static void compare(const struct shadow *before, uint64_t offset, const uint8_t *data, uint64_t n,
                    uint64_t size, struct finding *finding)
{
    uint64_t left = offset < before->size ? before->size - offset : 0;
    uint64_t expected = left < size ? left : size;
    uint64_t both = n < expected ? n : expected;
    finding->at = shadow_differs(before, offset, data, both);
    if (finding->at == SHADOW_SAME && n != expected)
        finding->at = offset + both;
    if (finding->at < offset + n)
        memcpy(&finding->found, data + (finding->at - offset),
               offset + n - finding->at < 8 ? offset + n - finding->at : 8);
}

static int read_range(struct target *t, int fd, const struct op *op, const struct shadow *before,
                      struct finding *finding)
{
    ssize_t n = io_pread(fd, t->data, op->size, (off_t)op->offset);
    if (n < 0)
        return (int)n;
    compare(before, op->offset, t->data, (uint64_t)n, op->size, finding);
    return 0;
}

static int write_range(struct target *t, int fd, const struct op *op)
{
    op_fill(op, op->offset, t->data, op->size);
    return io_pwrite(fd, t->data, op->size, (off_t)op->offset);
}

/* One request of the file system: a write that is split by a failure shows so. */
static int write_direct(struct target *t, const struct op *op)
{
    op_fill(op, op->offset, t->data, op->size);
    ssize_t n = pwrite(t->direct, t->data, op->size, (off_t)op->offset);
    if (n < 0)
        return -errno;
    return (uint64_t)n == op->size ? 0 : -EIO;
}

/* The pages that OP's range lies in; NULL with errno. */
static uint8_t *map(struct target *t, const struct op *op, int protection)
{
    size_t at = op->offset % PAGE;
    void *mapped =
        mmap(NULL, op->size + at, protection, MAP_SHARED, t->fd, (off_t)(op->offset - at));
    return mapped == MAP_FAILED ? NULL : mapped;
}

static int read_mapped(struct target *t, const struct op *op, const struct shadow *before,
                       struct finding *finding)
{
    uint8_t *mapped = map(t, op, PROT_READ);
    if (!mapped)
        return -errno;
    size_t at = op->offset % PAGE;
    compare(before, op->offset, mapped + at, op->size, op->size, finding);
    munmap(mapped, op->size + at);
    return 0;
}

static int write_mapped(struct target *t, const struct op *op, const struct shadow *before)
{
    if (op->offset + op->size > before->size &&
        ftruncate(t->fd, (off_t)(op->offset + op->size)) < 0)
        return -errno;
    uint8_t *mapped = map(t, op, PROT_READ | PROT_WRITE);
    if (!mapped)
        return -errno;
    size_t at = op->offset % PAGE;
    int r = 0;
    op_fill(op, op->offset, mapped + at, op->size);
    if (op->number % 16 == 1 && msync(mapped, op->size + at, MS_SYNC) < 0)
        r = -errno;
    munmap(mapped, op->size + at);
    return r;
}

static int allocate(struct target *t, const struct op *op, int mode)
{
    return fallocate(t->fd, mode, (off_t)op->offset, (off_t)op->size) < 0 ? -errno : 0;
}

static int copy_range(struct target *t, const struct op *op)
{
    off_t from = (off_t)op->from, to = (off_t)op->offset;
    for (uint64_t left = op->size; left > 0;) {
        ssize_t n = copy_file_range(t->fd, &from, t->fd, &to, left, 0);
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        left -= (uint64_t)n;
    }
    return 0;
}

static int copy(struct target *t, const struct op *op)
{
    ssize_t n = io_pread(t->fd, t->data, op->size, (off_t)op->from);
    if (n < 0)
        return (int)n;
    return (uint64_t)n == op->size ? io_pwrite(t->fd, t->data, op->size, (off_t)op->offset) : -EIO;
}

/* Nothing but zeros may be passed over, and a hole lies within the file. A file system may refuse
 * to tell of holes. */
static int seek(struct target *t, const struct op *op, const struct shadow *before,
                struct finding *finding)
{
    off_t data = lseek(t->fd, (off_t)op->offset, SEEK_DATA);
    if (data < 0 && errno != ENXIO && errno != EINVAL)
        return -errno;
    if (data < 0 && errno == EINVAL)
        return 0;
    uint64_t end = data < 0 ? before->size : (uint64_t)data;
    if (end > before->size || !shadow_is_zero(before, op->offset, end))
        finding->at = op->offset;
    off_t hole = lseek(t->fd, (off_t)op->offset, SEEK_HOLE);
    if (hole < 0)
        return errno == ENXIO || errno == EINVAL ? 0 : -errno;
    if ((uint64_t)hole < op->offset || (uint64_t)hole > before->size)
        finding->at = (uint64_t)hole;
    return 0;
}

static int drop(struct target *t)
{
    if (sync_file_range(t->fd, 0, 0,
                        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                            SYNC_FILE_RANGE_WAIT_AFTER) < 0)
        return -errno;
    return -posix_fadvise(t->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static int reopen(struct target *t)
{
    int r = close_files(t);
    return r < 0 ? r : open_files(t);
}

static int do_op(struct target *t, const struct op *op, const struct shadow *before,
                 struct finding *finding)
{
    switch (op->kind) {
    case OP_READ:
        return read_range(t, t->fd, op, before, finding);
    case OP_WRITE:
        return write_range(t, t->fd, op);
    case OP_DIRECT_READ:
        return read_range(t, t->direct, op, before, finding);
    case OP_DIRECT_WRITE:
        return write_direct(t, op);
    case OP_MAP_READ:
        return read_mapped(t, op, before, finding);
    case OP_MAP_WRITE:
        return write_mapped(t, op, before);
    case OP_TRUNCATE:
        return ftruncate(t->fd, (off_t)op->size) < 0 ? -errno : 0;
    case OP_PUNCH:
        return allocate(t, op, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
    case OP_ZERO:
        return allocate(t, op, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
    case OP_ZERO_GROW:
        return allocate(t, op, FALLOC_FL_ZERO_RANGE);
    case OP_COPY_RANGE:
        return copy_range(t, op);
    case OP_COPY:
        return copy(t, op);
    case OP_SEEK:
        return seek(t, op, before, finding);
    case OP_FSYNC:
        return (op->number % 2 ? fdatasync(t->fd) : fsync(t->fd)) < 0 ? -errno : 0;
    case OP_REOPEN:
        return reopen(t);
    case OP_DROP:
        return drop(t);
    case OP_KINDS:
    default:
        return -EINVAL;
    }
}

int target_do(struct target *t, const struct op *op, const struct shadow *before, uint64_t *ret_at,
              uint64_t *ret_found)
{
    struct finding finding = {.at = SHADOW_SAME};
    int r = do_op(t, op, before, &finding);
    *ret_at = finding.at;
    *ret_found = finding.found;
    return r;
}
