/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is in files. The kernel gathers writes (writeback cache) and keeps pages across opens; it
 * hands everything over before it sends FSYNC, so that fsync is a commit and nothing else. A file
 * of `.isrfs` has a virtual_file in fi->fh, one of the parcel has whether it is open for writing.
 */
#include <fcntl.h>
#include <linux/falloc.h>

#include "isrfs/fuse/handover.h"
#include "isrfs/fuse/ops.h"
#include "isrfs/fuse/seek.h"
#include "isrfs/fuse/virtual.h"

static struct counters *counters_of(struct mount *m)
{
    return &m->config.checkout->counters;
}

static bool for_writing(const struct fuse_file_info *fi)
{
    return (fi->flags & O_ACCMODE) != O_RDONLY;
}

int ops_file_opened(struct mount *m, struct fuse_file_info *fi, uint64_t file_id)
{
    struct parcel *p = m->config.parcel;
    int r = for_writing(fi) ? parcel_open_for_writing(p, file_id) : 0;
    if (r == 0 && for_writing(fi))
        r = writers_add(m->writers, file_id, !parcel_is_volatile(p, file_id));
    if (r < 0)
        return r;
    if (for_writing(fi))
        handover_changed(m->handover);
    atomic_fetch_add(&m->open_files, 1);
    fi->keep_cache = 1;
    fi->fh = for_writing(fi);
    return 0;
}

void ops_file_closed(struct mount *m, const struct fuse_file_info *fi, uint64_t file_id)
{
    if (for_writing(fi)) {
        writers_remove(m->writers, file_id);
        handover_changed(m->handover);
    }
    atomic_fetch_sub(&m->open_files, 1);
}

static void open_virtual(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct virtual_file *file = NULL;
    int r = for_writing(fi) ? -EPERM : virtual_open(front_mount(req), ino, &file);
    if (r < 0) {
        front_reply(req, r);
        return;
    }
    fi->direct_io = 1;
    fi->fh = (uintptr_t)file;
    if (fuse_reply_open(req, fi) == -ENOENT)
        virtual_close(file);
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct mount *m = front_mount(req);
    if (virtual_is(ino)) {
        open_virtual(req, ino, fi);
        return;
    }
    int r = ops_file_opened(m, fi, ino);
    if (r < 0)
        front_reply(req, r);
    else if (fuse_reply_open(req, fi) == -ENOENT)
        ops_file_closed(m, fi, ino);
}

static void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (virtual_is(ino))
        virtual_close((struct virtual_file *)(uintptr_t)fi->fh);
    else
        ops_file_closed(front_mount(req), fi, ino);
    front_reply(req, 0);
}

/* Its reader may have closed the file before the call that replies has returned: the reply is of
 * the thread's own buffer. */
static void read_virtual(fuse_req_t req, const struct virtual_file *file, size_t size, off_t offset)
{
    void *buffer = front_buffer(front_mount(req));
    if (!buffer)
        front_reply(req, -ENOMEM);
    else
        fuse_reply_buf(req, buffer, virtual_read(file, buffer, size, offset));
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
    struct mount *m = front_mount(req);
    if (size > FRONT_REQUEST_MAX)
        size = FRONT_REQUEST_MAX;
    if (virtual_is(ino)) {
        read_virtual(req, (struct virtual_file *)(uintptr_t)fi->fh, size, offset);
        return;
    }
    COUNT(counters_of(m), read_requests, 1);
    void *buffer = front_buffer(m);
    struct parcel_view view;
    struct asker asker;
    askers_begin(m->askers, &asker, req, !(fi->flags & O_DIRECT));
    ssize_t n = buffer
                    ? parcel_read_view(m->config.parcel, ino, buffer, size, (uint64_t)offset, &view)
                    : -ENOMEM;
    askers_end(&asker);
    if (n < 0) {
        COUNT(counters_of(m), reads_failed, 1);
        front_reply(req, (int)n);
        return;
    }
    COUNT(counters_of(m), read_bytes, n);
    fuse_reply_iov(req, view.pieces, (int)view.count);
    parcel_view_end(m->config.parcel, &view);
}

static void do_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
    (void)fi;
    struct mount *m = front_mount(req);
    COUNT(counters_of(m), write_requests, 1);
    struct asker asker;
    askers_begin(m->askers, &asker, req, false);
    ssize_t n = virtual_is(ino) ? -EPERM
                                : parcel_write(m->config.parcel, ino, data, size, (uint64_t)offset);
    askers_end(&asker);
    if (n < 0) {
        COUNT(counters_of(m), writes_failed, 1);
        front_reply(req, (int)n);
        return;
    }
    COUNT(counters_of(m), write_bytes, n);
    fuse_reply_write(req, (size_t)n);
}

/* On each close; by then the kernel has handed over what it held. */
static void do_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (!virtual_is(ino) && fi->fh)
        handover_closing(front_mount(req)->handover, req, ino);
    else
        front_reply(req, 0);
}

static void answer_fsync(void *arg, int result)
{
    front_reply(arg, result);
}

/* Files and folders alike: a batch takes everything. Never ENOSYS, which the kernel would take for
 * success from then on. */
static void do_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)ino;
    (void)datasync;
    (void)fi;
    struct mount *m = front_mount(req);
    COUNT(counters_of(m), fsync_requests, 1);
    if (parcel_is_volatile(m->config.parcel, ino)) { /* kept when the machine is stopped, or not */
        front_reply(req, 0);
        return;
    }
    int r = m->config.committer ? committer_sync_later(m->config.committer, answer_fsync, req) : 0;
    if (r < 0 || !m->config.committer)
        front_reply(req, r);
}

static int zero(struct mount *m, fuse_req_t req, fuse_ino_t ino, off_t offset, off_t size,
                bool keep_size)
{
    struct asker asker;
    askers_begin(m->askers, &asker, req, false);
    int r = parcel_zero(m->config.parcel, ino, (uint64_t)offset, (uint64_t)size, keep_size);
    askers_end(&asker);
    return r;
}

/* The kernel has written back and dropped its pages of the range. What is not done here must be
 * EOPNOTSUPP, never EINVAL: callers then write zeros themselves. */
static void do_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t size,
                         struct fuse_file_info *fi)
{
    (void)fi;
    bool keep_size = mode & FALLOC_FL_KEEP_SIZE;
    int what = mode & ~FALLOC_FL_KEEP_SIZE;
    if (virtual_is(ino))
        front_reply(req, -EPERM);
    else if (what == FALLOC_FL_ZERO_RANGE || (what == FALLOC_FL_PUNCH_HOLE && keep_size))
        front_reply(req, zero(front_mount(req), req, ino, offset, size, keep_size));
    else
        front_reply(req, -EOPNOTSUPP);
}

static void do_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
                     struct fuse_file_info *fi)
{
    (void)fi;
    if (virtual_is(ino) || (whence != SEEK_DATA && whence != SEEK_HOLE))
        front_reply(req, -EINVAL);
    else
        seek_request(front_mount(req)->seek, req, ino, (uint64_t)offset, whence == SEEK_DATA);
}

static void do_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned command, void *arg,
                     struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
                     size_t out_size)
{
    (void)ino;
    (void)command;
    (void)arg;
    (void)fi;
    (void)flags;
    (void)in;
    (void)in_size;
    (void)out_size;
    front_reply(req, -ENOTTY);
}

void ops_file_install(struct fuse_lowlevel_ops *ops)
{
    ops->open = do_open;
    ops->release = do_release;
    ops->read = do_read;
    ops->write = do_write;
    ops->flush = do_flush;
    ops->fsync = do_fsync;
    ops->fsyncdir = do_fsync;
    ops->fallocate = do_fallocate;
    ops->lseek = do_lseek;
    ops->ioctl = do_ioctl;
}
