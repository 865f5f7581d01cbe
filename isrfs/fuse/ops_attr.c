/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Attributes. Every file belongs to whoever mounted; giving it to somebody else is refused. Access
 * times are not kept: setting one succeeds and changes nothing. Extended attributes have no handler
 * at all: the kernel then answers EOPNOTSUPP by itself, without asking for each write whether there
 * is a capability to drop. */
#include <sys/statvfs.h>

#include "isrfs/fuse/ops.h"
#include "isrfs/fuse/virtual.h"

#define STATFS_BLOCK 4096u

static void reply_attr(fuse_req_t req, fuse_ino_t ino)
{
    struct mount *m = front_mount(req);
    struct parcel_attr attr;
    int r = parcel_getattr(m->config.parcel, ino, &attr);
    if (r < 0) {
        front_reply(req, r);
        return;
    }
    struct stat st;
    front_stat(m, &attr, &st);
    fuse_reply_attr(req, &st, FRONT_TIMEOUT);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    if (!virtual_is(ino)) {
        reply_attr(req, ino);
        return;
    }
    struct stat st;
    int r = virtual_stat(front_mount(req), ino, &st);
    if (r < 0)
        front_reply(req, r);
    else
        fuse_reply_attr(req, &st, 0);
}

/* The root must stay open to its owner: the daemon itself opens it to have the kernel hand over its
 * pages (front_open_root). */
static mode_t mode_allowed(fuse_ino_t ino, mode_t mode)
{
    return ino == FUSE_ROOT_ID ? (mode & 0777) | S_IRWXU : mode & 0777;
}

static struct timespec mtime_asked(const struct stat *st, int set)
{
    struct timespec now = st->st_mtim;
    if (set & FUSE_SET_ATTR_MTIME_NOW)
        clock_gettime(CLOCK_REALTIME, &now);
    return now;
}

static int set_attributes(struct mount *m, fuse_ino_t ino, const struct stat *st, int set)
{
    struct parcel *p = m->config.parcel;
    if (virtual_is(ino) || ((set & FUSE_SET_ATTR_UID) && st->st_uid != m->uid) ||
        ((set & FUSE_SET_ATTR_GID) && st->st_gid != m->gid))
        return -EPERM;
    int r = 0;
    if (set & FUSE_SET_ATTR_MODE)
        r = parcel_chmod(p, ino, mode_allowed(ino, st->st_mode));
    if (r == 0 && (set & FUSE_SET_ATTR_SIZE))
        r = parcel_truncate(p, ino, (uint64_t)st->st_size);
    if (r == 0 && (set & FUSE_SET_ATTR_MTIME))
        r = parcel_set_mtime(p, ino, mtime_asked(st, set));
    return r;
}

static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int set,
                       struct fuse_file_info *fi)
{
    (void)fi;
    struct mount *m = front_mount(req);
    struct asker asker;
    askers_begin(m->askers, &asker, req, false);
    int r = set_attributes(m, ino, st, set);
    askers_end(&asker);
    if (r < 0)
        front_reply(req, r);
    else
        reply_attr(req, ino);
}

/* Used is what the files hold, holes included; free is what this site can still take, because that
 * is where changes go first. */
static void do_statfs(fuse_req_t req, fuse_ino_t ino)
{
    (void)ino;
    struct mount *m = front_mount(req);
    struct parcel_usage usage;
    parcel_usage(m->config.parcel, &usage);
    struct statvfs site = {.f_frsize = STATFS_BLOCK};
    const struct checkout *c = m->config.checkout;
    if (!parcel_is_read_only(m->config.parcel) && c->state_fd >= 0 &&
        fstatvfs(c->state_fd, &site) < 0) {
        front_reply(req, -errno);
        return;
    }
    uint64_t free_blocks = (uint64_t)site.f_bavail * site.f_frsize / STATFS_BLOCK;
    uint64_t names_left = usage.files < CATALOG_FILES_MAX ? CATALOG_FILES_MAX - usage.files : 0;
    struct statvfs st = {
        .f_bsize = STATFS_BLOCK,
        .f_frsize = STATFS_BLOCK,
        .f_blocks = (usage.bytes + STATFS_BLOCK - 1) / STATFS_BLOCK + free_blocks,
        .f_bfree = free_blocks,
        .f_bavail = free_blocks,
        .f_files = usage.files + names_left,
        .f_ffree = names_left,
        .f_favail = names_left,
        .f_namemax = CATALOG_NAME_MAX,
    };
    fuse_reply_statfs(req, &st);
}

void ops_attr_install(struct fuse_lowlevel_ops *ops)
{
    ops->getattr = do_getattr;
    ops->setattr = do_setattr;
    ops->statfs = do_statfs;
}
