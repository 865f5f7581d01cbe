/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The way out: a file of a parcel as a plain file. It is written under a temporary name beside OUT
 * and renamed when it is whole and flushed, so OUT is all of the file or not there. Holes stay
 * holes. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/sync/import.h"

#define PIECE (1u << 20)

struct export
{
    struct parcel *parcel;
    uint64_t file_id, size;
    const char *name; /* for messages */
    int fd;           /* where it goes */
    bool stream;      /* no seeking: zeros are written out */
    const struct progress *progress;
    struct failure *failure;
    uint8_t *piece; /* PIECE bytes */
};

static int failed(struct export *x, enum outcome outcome, const char *what, int r)
{
    failure_set(x->failure, outcome, "%s: %s: %s", x->name, what, strerror(-r));
    return r;
}

static void report(const struct export *x, uint64_t done)
{
    char text[320];
    if (!x->progress)
        return;
    snprintf(text, sizeof text, "exporting %s", x->name);
    x->progress->report(x->progress->ctx, text, done, x->size);
}

static int put(struct export *x, size_t size, uint64_t offset)
{
    int r = x->stream ? io_write(x->fd, x->piece, size)
                      : io_pwrite(x->fd, x->piece, size, (off_t)offset);
    return r < 0 ? failed(x, OUTCOME_FAILED, "cannot be written", r) : 0;
}

static int put_zeros(struct export *x, uint64_t start, uint64_t end)
{
    if (!x->stream)
        return 0;
    memset(x->piece, 0, PIECE);
    int r = 0;
    for (uint64_t at = start; r == 0 && at < end; at += PIECE)
        r = put(x, end - at < PIECE ? (size_t)(end - at) : PIECE, at);
    return r;
}

static int copy_stretch(struct export *x, uint64_t start, uint64_t end)
{
    int r = 0;
    for (uint64_t at = start; r == 0 && at < end; at += PIECE) {
        size_t size = end - at < PIECE ? (size_t)(end - at) : PIECE;
        ssize_t n = parcel_read(x->parcel, x->file_id, x->piece, size, at);
        if (n < 0 || (size_t)n != size)
            return failed(x, n == -EHOSTDOWN ? OUTCOME_UNREACHABLE : OUTCOME_DAMAGED,
                          "cannot be read", n < 0 ? (int)n : -EIO);
        r = put(x, size, at);
        report(x, at + size);
    }
    return r;
}

static int copy_all(struct export *x)
{
    uint64_t at = 0;
    while (at < x->size) {
        uint64_t start, end;
        int r = parcel_seek(x->parcel, x->file_id, at, true, &start);
        if (r == -ENXIO)
            return put_zeros(x, at, x->size);
        r = r < 0 ? r : parcel_seek(x->parcel, x->file_id, start, false, &end);
        if (r < 0)
            return failed(x, outcome_of(r), "cannot be read", r);
        end = end < x->size ? end : x->size;
        if (end <= start)
            return failed(x, OUTCOME_DAMAGED, "cannot be read", -EIO);
        r = put_zeros(x, at, start);
        r = r < 0 ? r : copy_stretch(x, start, end);
        if (r < 0)
            return r;
        at = end;
    }
    return 0;
}

/* Under the name TEMP until it is whole. */
static int export_under(struct export *x, const char *temp, const char *out)
{
    x->fd = io_create(AT_FDCWD, temp, 0, 0600);
    if (x->fd < 0)
        return failed(x, OUTCOME_FAILED, "cannot be written", x->fd);
    int r = copy_all(x);
    int w = r < 0 ? 0 : io_ftruncate(x->fd, (off_t)x->size);
    w = r < 0 || w < 0 ? w : io_fsync(x->fd);
    close(x->fd);
    w = r < 0 || w < 0 ? w : io_rename(AT_FDCWD, temp, AT_FDCWD, out);
    if (r < 0 || w < 0)
        io_unlink(AT_FDCWD, temp);
    if (r < 0)
        return r;
    return w < 0 ? failed(x, OUTCOME_FAILED, "cannot be written", w) : 0;
}

static int flush_folder(struct export *x, const char *out)
{
    const char *slash = strrchr(out, '/');
    CLEANUP_FREE char *folder = slash == out ? strdup("/")
                                : slash      ? strndup(out, (size_t)(slash - out))
                                             : strdup(".");
    int r = folder ? io_fsync_dir(AT_FDCWD, folder) : -ENOMEM;
    return r < 0 ? failed(x, OUTCOME_FAILED, "its folder cannot be flushed", r) : 0;
}

static int export_to(struct export *x, const char *out)
{
    struct stat st;
    char clean[256];
    if (lstat(out, &st) == 0)
        return failure_set(x->failure, OUTCOME_FAILED, "%s exists already",
                           log_clean(clean, sizeof clean, out));
    uint8_t random[8];
    CLEANUP_FREE char *temp = NULL;
    if (random_bytes(random, sizeof random) < 0 ||
        asprintf(&temp, "%s.%016llx.tmp", out, (unsigned long long)get_u64(random)) < 0) {
        temp = NULL;
        return failure_set(x->failure, OUTCOME_FAILED, "out of memory");
    }
    int r = export_under(x, temp, out);
    return r < 0 ? r : flush_folder(x, out);
}

int export_file(struct parcel *p, const char *path, const char *out,
                const struct progress *progress, struct failure *failure)
{
    char name[256];
    log_clean(name, sizeof name, path);
    struct parcel_attr attr;
    int r = parcel_find(p, path, &attr);
    if (r == -ENOENT || r == -ENOTDIR)
        return failure_set(failure, OUTCOME_UNKNOWN, "there is no file %s in the parcel", name);
    if (r < 0)
        return failure_set(failure, outcome_of(r), "%s: %s", name, strerror(-r));
    if (attr.is_folder)
        return failure_set(failure, OUTCOME_FAILED, "%s is a folder; export its files", name);
    CLEANUP_SECRET uint8_t *piece = secret_alloc(PIECE);
    if (!piece)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    struct export x = {.parcel = p,
                       .file_id = attr.file_id,
                       .size = attr.size,
                       .name = name,
                       .fd = STDOUT_FILENO,
                       .stream = strcmp(out, "-") == 0,
                       .progress = progress,
                       .failure = failure,
                       .piece = piece};
    return x.stream ? copy_all(&x) : export_to(&x, out);
}
