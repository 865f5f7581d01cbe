/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names. A lookup, create or mkdir that the kernel has been told of is one reference in the parcel,
 * which it gives back with FORGET. That a name is missing is told to the kernel too, to be kept:
 * only it makes names. Nothing can be made, removed or renamed at or below `.isrfs`. */
#include <linux/fs.h>
#include <sys/stat.h>

#include "isrfs/fuse/ops.h"
#include "isrfs/fuse/virtual.h"

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct mount *m = front_mount(req);
    if (virtual_has(parent, name)) {
        struct fuse_entry_param entry;
        int r = virtual_lookup(m, parent, name, &entry);
        if (r < 0)
            front_reply(req, r);
        else
            fuse_reply_entry(req, &entry);
        return;
    }
    struct parcel_attr attr;
    int r = parcel_lookup(m->config.parcel, parent, name, &attr);
    if (r == 0) {
        front_reply_entry(req, &attr);
    } else if (r == -ENOENT) {
        struct fuse_entry_param none = {.entry_timeout = FRONT_TIMEOUT};
        fuse_reply_entry(req, &none);
    } else {
        front_reply(req, r);
    }
}

static void forget_one(struct mount *m, fuse_ino_t ino, uint64_t references)
{
    if (!virtual_is(ino) && ino != FUSE_ROOT_ID)
        parcel_forget(m->config.parcel, ino, references);
}

static void do_forget(fuse_req_t req, fuse_ino_t ino, uint64_t references)
{
    forget_one(front_mount(req), ino, references);
    fuse_reply_none(req);
}

static void do_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        forget_one(front_mount(req), forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

static void do_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct parcel_attr attr;
    int r = virtual_has(parent, name)
                ? -EPERM
                : parcel_mkdir(front_mount(req)->config.parcel, parent, name, mode & 0777, &attr);
    if (r < 0)
        front_reply(req, r);
    else
        front_reply_entry(req, &attr);
}

static void do_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
    (void)device;
    struct parcel_attr attr;
    int r = virtual_has(parent, name) || !S_ISREG(mode)
                ? -EPERM
                : parcel_create(front_mount(req)->config.parcel, parent, name, mode & 0777, &attr);
    if (r < 0)
        front_reply(req, r);
    else
        front_reply_entry(req, &attr);
}

static void do_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *fi)
{
    struct mount *m = front_mount(req);
    struct parcel_attr attr;
    int r = virtual_has(parent, name)
                ? -EPERM
                : parcel_create(m->config.parcel, parent, name, mode & 0777, &attr);
    if (r < 0) {
        front_reply(req, r);
        return;
    }
    r = ops_file_opened(m, fi, attr.file_id);
    if (r < 0) {
        parcel_forget(m->config.parcel, attr.file_id, 1);
        front_reply(req, r);
        return;
    }
    struct fuse_entry_param entry;
    front_entry(m, &attr, &entry);
    if (fuse_reply_create(req, &entry, fi) == -ENOENT) {
        ops_file_closed(m, fi, attr.file_id);
        parcel_forget(m->config.parcel, attr.file_id, 1);
    }
}

static void do_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    front_reply(req, virtual_has(parent, name)
                         ? -EPERM
                         : parcel_unlink(front_mount(req)->config.parcel, parent, name));
}

static void do_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    front_reply(req, virtual_has(parent, name)
                         ? -EPERM
                         : parcel_rmdir(front_mount(req)->config.parcel, parent, name));
}

static void do_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                      const char *new_name, unsigned flags)
{
    if (flags & ~(unsigned)RENAME_NOREPLACE)
        front_reply(req, -EINVAL);
    else if (virtual_has(parent, name) || virtual_has(new_parent, new_name))
        front_reply(req, -EPERM);
    else
        front_reply(req, parcel_rename(front_mount(req)->config.parcel, parent, name, new_parent,
                                       new_name, flags & RENAME_NOREPLACE));
}

/* A parcel holds files and folders only: what link(2) and symlink(2) say on such file systems. */
static void do_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target;
    (void)parent;
    (void)name;
    front_reply(req, -EPERM);
}

static void do_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    (void)ino;
    (void)parent;
    (void)name;
    front_reply(req, -EPERM);
}

void ops_name_install(struct fuse_lowlevel_ops *ops)
{
    ops->lookup = do_lookup;
    ops->forget = do_forget;
    ops->forget_multi = do_forget_multi;
    ops->mkdir = do_mkdir;
    ops->mknod = do_mknod;
    ops->create = do_create;
    ops->unlink = do_unlink;
    ops->rmdir = do_rmdir;
    ops->rename = do_rename;
    ops->symlink = do_symlink;
    ops->link = do_link;
}
