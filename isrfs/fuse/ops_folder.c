/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Listing folders. The names are taken when a folder is opened and again when it is read from the
 * beginning (rewinddir), so that offsets stay good whatever happens to the folder meanwhile: offset
 * n is the n-th name, after "." and "..". `.isrfs` is not listed in the root, so that cp -a, rsync
 * and rm -r of a whole parcel do not meet it. */
#include <string.h>

#include "isrfs/base/buffer.h"
#include "isrfs/fuse/ops.h"
#include "isrfs/fuse/virtual.h"

struct listed {
    size_t name; /* where it begins in `names` */
    uint64_t ino;
    bool is_folder;
};

struct listing {
    pthread_mutex_t lock;
    struct buffer names; /* lock; with their NULs */
    struct buffer items; /* lock; of struct listed */
    bool used;           /* lock; has it been read from? */
};

static int listing_add(void *ctx, const char *name, uint64_t ino, bool is_folder)
{
    struct listing *l = ctx;
    struct listed item = {.name = l->names.size, .ino = ino, .is_folder = is_folder};
    int r = buffer_append(&l->names, name, strlen(name) + 1);
    return r < 0 ? r : buffer_append(&l->items, &item, sizeof item);
}

static int add_file(void *ctx, const char *name, const struct parcel_attr *attr)
{
    return listing_add(ctx, name, attr->file_id, attr->is_folder);
}

static int listing_fill(struct mount *m, struct listing *l, fuse_ino_t ino)
{
    l->names.size = l->items.size = 0;
    uint64_t parent = FUSE_ROOT_ID;
    int r = virtual_is(ino) ? 0 : parcel_parent(m->config.parcel, ino, &parent);
    r = r < 0 ? r : listing_add(l, ".", ino, true);
    r = r < 0 ? r : listing_add(l, "..", parent, true);
    if (r < 0)
        return r;
    return virtual_is(ino) ? virtual_each_name(m, ino, listing_add, l)
                           : parcel_each_name(m->config.parcel, ino, add_file, l);
}

static void listing_free(struct listing *l)
{
    if (!l)
        return;
    buffer_free(&l->names);
    buffer_free(&l->items);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static void close_listing(struct mount *m, struct listing *l)
{
    listing_free(l);
    atomic_fetch_sub(&m->open_files, 1);
}

static void do_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct mount *m = front_mount(req);
    struct listing *l = calloc(1, sizeof *l);
    if (!l) {
        front_reply(req, -ENOMEM);
        return;
    }
    pthread_mutex_init(&l->lock, NULL);
    int r = listing_fill(m, l, ino);
    if (r < 0) {
        listing_free(l);
        front_reply(req, r);
        return;
    }
    atomic_fetch_add(&m->open_files, 1);
    fi->fh = (uintptr_t)l;
    if (fuse_reply_open(req, fi) == -ENOENT)
        close_listing(m, l);
}

static void do_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    close_listing(front_mount(req), (struct listing *)(uintptr_t)fi->fh);
    front_reply(req, 0);
}

/* Puts one name at OUT. The room it took, more than ROOM if it does not fit. */
static size_t put_plain(fuse_req_t req, char *out, size_t room, const struct listed *item,
                        const char *name, size_t next)
{
    struct stat st = {.st_ino = item->ino, .st_mode = item->is_folder ? S_IFDIR : S_IFREG};
    return fuse_add_direntry(req, out, room, name, &st, (off_t)next);
}

/* Likewise with the file's attributes, which counts as a lookup of it, except of "." and "..". A
 * name that is gone by now is left out: 0. */
static size_t put_plus(fuse_req_t req, fuse_ino_t folder, char *out, size_t room,
                       const struct listed *item, const char *name, size_t next)
{
    struct mount *m = front_mount(req);
    struct fuse_entry_param entry = {
        .attr = {.st_ino = item->ino, .st_mode = item->is_folder ? S_IFDIR : S_IFREG}};
    size_t needed = fuse_add_direntry_plus(req, NULL, 0, name, &entry, (off_t)next);
    if (needed > room)
        return needed;
    if (next > 2 && virtual_is(folder)) {
        if (virtual_lookup(m, folder, name, &entry) < 0)
            return 0;
    } else if (next > 2) {
        struct parcel_attr attr;
        if (parcel_lookup(m->config.parcel, folder, name, &attr) < 0)
            return 0;
        front_entry(m, &attr, &entry);
    }
    return fuse_add_direntry_plus(req, out, room, name, &entry, (off_t)next);
}

/* Fills OUT from the OFFSET-th name on; the bytes used. Called with the listing's lock held. */
static size_t fill(fuse_req_t req, fuse_ino_t ino, const struct listing *l, char *out, size_t size,
                   size_t offset, bool plus)
{
    const struct listed *items = (const struct listed *)(const void *)l->items.data;
    size_t count = l->items.size / sizeof *items, used = 0;
    for (size_t i = offset; i < count; i++) {
        const char *name = (const char *)l->names.data + items[i].name;
        size_t n = plus ? put_plus(req, ino, out + used, size - used, &items[i], name, i + 1)
                        : put_plain(req, out + used, size - used, &items[i], name, i + 1);
        if (n > size - used)
            break;
        used += n;
    }
    return used;
}

static ssize_t take(fuse_req_t req, fuse_ino_t ino, struct listing *l, char *out, size_t size,
                    size_t offset, bool plus)
{
    LOCK_SCOPE(&l->lock);
    int r = offset == 0 && l->used ? listing_fill(front_mount(req), l, ino) : 0;
    if (r < 0)
        return r;
    l->used = true;
    return (ssize_t)fill(req, ino, l, out, size, offset, plus);
}

/* Once it is answered, the folder may be closed by another thread: the listing is let go before. */
static void read_folder(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                        struct fuse_file_info *fi, bool plus)
{
    char *out = front_buffer(front_mount(req));
    if (size > FRONT_REQUEST_MAX)
        size = FRONT_REQUEST_MAX;
    ssize_t n = !out         ? -ENOMEM
                : offset < 0 ? -EINVAL
                             : take(req, ino, (struct listing *)(uintptr_t)fi->fh, out, size,
                                    (size_t)offset, plus);
    if (n < 0)
        front_reply(req, (int)n);
    else
        fuse_reply_buf(req, out, (size_t)n);
}

static void do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
    read_folder(req, ino, size, offset, fi, false);
}

static void do_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                           struct fuse_file_info *fi)
{
    read_folder(req, ino, size, offset, fi, true);
}

void ops_folder_install(struct fuse_lowlevel_ops *ops)
{
    ops->opendir = do_opendir;
    ops->releasedir = do_releasedir;
    ops->readdir = do_readdir;
    ops->readdirplus = do_readdirplus;
}
