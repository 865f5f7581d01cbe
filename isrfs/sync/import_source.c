/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A plain source is read by offset, so that many can read at once; its holes are asked of the file
 * system. What a file was when it was opened is noted, and compared at the end: a file that
 * somebody writes to meanwhile (a running guest's disk) would make a parcel that never existed. */
#include "isrfs/sync/import_source.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/sync/import_image.h"

struct import_source {
    int fd;
    struct stat st;             /* when it was opened */
    struct import_image *image; /* NULL: plain */
    struct import_source_info info;
};

static int refuse(struct failure *f, const char *path, const char *why)
{
    char name[256];
    return failure_set(f, OUTCOME_FAILED, "%s: %s", log_clean(name, sizeof name, path), why);
}

static int open_plain(struct import_source *s, const char *path, struct failure *f)
{
    s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (s->fd < 0 || fstat(s->fd, &s->st) < 0) {
        char name[256];
        return failure_set(f, errno == ENOENT ? OUTCOME_UNKNOWN : OUTCOME_FAILED, "%s: %s",
                           log_clean(name, sizeof name, path), strerror(errno));
    }
    if (!S_ISREG(s->st.st_mode) && !S_ISBLK(s->st.st_mode))
        return refuse(f, path, "neither a file nor a block device");
    off_t size = lseek(s->fd, 0, SEEK_END);
    if (size < 0)
        return refuse(f, path, strerror(errno));
    s->info = (struct import_source_info){.is_device = S_ISBLK(s->st.st_mode),
                                          .size = (uint64_t)size,
                                          .mode = s->st.st_mode & 0777,
                                          .mtime = s->st.st_mtim};
    return 0;
}

static int open_image(struct import_source *s, const char *path, struct failure *f)
{
    const char *unknown;
    int r = import_image_detect(s->fd, &s->info.format, &unknown);
    if (r < 0)
        return refuse(f, path, strerror(-r));
    if (unknown) {
        char name[256];
        return failure_set(f, OUTCOME_FAILED,
                           "%s: %s images are not read: convert it first (qemu-img convert)",
                           log_clean(name, sizeof name, path), unknown);
    }
    if (s->info.format == IMPORT_PLAIN)
        return 0;
    CLEANUP_FREE char *absolute = realpath(path, NULL);
    if (!absolute)
        return refuse(f, path, strerror(errno));
    r = import_image_open(absolute, s->fd, s->info.format, &s->image, f);
    if (r == 0)
        s->info.size = import_image_size(s->image);
    return r;
}

int import_source_open(const char *path, bool as_it_is, struct import_source **ret,
                       struct failure *failure)
{
    CLEANUP_IMPORT_SOURCE struct import_source *s = calloc(1, sizeof *s);
    if (!s)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    s->fd = -1;
    int r = open_plain(s, path, failure);
    if (r == 0 && !as_it_is)
        r = open_image(s, path, failure);
    if (r < 0)
        return r;
    *ret = steal_ptr(s);
    return 0;
}

void import_source_close(struct import_source *s)
{
    if (!s)
        return;
    import_image_close(s->image);
    cleanup_close(&s->fd);
    free(s);
}

const struct import_source_info *import_source_info(const struct import_source *s)
{
    return &s->info;
}

static int next_plain(struct import_source *s, uint64_t offset, uint64_t *ret_start,
                      uint64_t *ret_end)
{
    *ret_start = offset;
    *ret_end = s->info.size;
    if (s->info.is_device)
        return 0;
    off_t start = lseek(s->fd, (off_t)offset, SEEK_DATA);
    if (start < 0 && errno == ENXIO) {
        *ret_start = s->info.size;
        return 0;
    }
    if (start < 0)
        return errno == EINVAL ? 0 : -errno; /* a file system that knows no holes */
    off_t end = lseek(s->fd, start, SEEK_HOLE);
    *ret_start = (uint64_t)start;
    if (end > start && (uint64_t)end < s->info.size)
        *ret_end = (uint64_t)end;
    return 0;
}

int import_source_next(struct import_source *s, uint64_t offset, uint64_t *ret_start,
                       uint64_t *ret_end, struct failure *failure)
{
    int r = 0;
    *ret_start = *ret_end = s->info.size;
    if (offset < s->info.size)
        r = s->image ? import_image_next(s->image, offset, ret_start, ret_end)
                     : next_plain(s, offset, ret_start, ret_end);
    return r < 0
               ? failure_set(failure, OUTCOME_FAILED, "the source cannot be read: %s", strerror(-r))
               : 0;
}

int import_source_read(struct import_source *s, void *data, size_t size, uint64_t offset)
{
    if (s->image)
        return import_image_read(s->image, data, size, offset);
    ssize_t n = io_pread(s->fd, data, size, (off_t)offset);
    if (n < 0)
        return -EIO;
    return (size_t)n == size ? 0 : -ENODATA;
}

int import_source_unchanged(struct import_source *s)
{
    struct stat now;
    if (s->info.is_device)
        return 0;
    if (fstat(s->fd, &now) < 0)
        return -errno;
    bool same = now.st_size == s->st.st_size && now.st_mtim.tv_sec == s->st.st_mtim.tv_sec &&
                now.st_mtim.tv_nsec == s->st.st_mtim.tv_nsec;
    return same ? 0 : -ENODATA;
}
