/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small things that every request needs. Read buffers are kept for each thread: a fresh megabyte
 * for each request would cost more in page faults than the read itself. They hold plaintext and are
 * left out of core dumps. */
#include "isrfs/fuse/front.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "isrfs/base/buffer.h"

#define FLUSH_TRIES 8

/* A file counts as a little smaller than it is, so that copying tools, which compare st_blocks with
 * the size, ask for its holes; counting its chunks here would load the whole keyring. */
static blkcnt_t blocks_of(const struct parcel_attr *attr)
{
    uint64_t blocks = (attr->size + 511) / 512;
    if (attr->size > attr->chunk_size)
        blocks -= 2;
    return (blkcnt_t)blocks;
}

void front_stat(const struct mount *m, const struct parcel_attr *attr, struct stat *ret)
{
    *ret = (struct stat){
        .st_ino = attr->file_id,
        .st_mode = (attr->is_folder ? S_IFDIR : S_IFREG) | (attr->mode & 0777),
        .st_nlink = attr->links,
        .st_uid = m->uid,
        .st_gid = m->gid,
        .st_size = attr->is_folder ? 4096 : (off_t)attr->size,
        .st_blocks = attr->is_folder ? 8 : blocks_of(attr),
        .st_blksize = attr->is_folder ? 4096 : attr->chunk_size,
        .st_atim = attr->mtime,
        .st_mtim = attr->mtime,
        .st_ctim = attr->ctime,
    };
}

void front_entry(const struct mount *m, const struct parcel_attr *attr,
                 struct fuse_entry_param *ret)
{
    *ret = (struct fuse_entry_param){
        .ino = attr->file_id, .attr_timeout = FRONT_TIMEOUT, .entry_timeout = FRONT_TIMEOUT};
    front_stat(m, attr, &ret->attr);
}

void front_reply_entry(fuse_req_t req, const struct parcel_attr *attr)
{
    struct mount *m = front_mount(req);
    struct fuse_entry_param entry;
    front_entry(m, attr, &entry);
    if (fuse_reply_entry(req, &entry) == -ENOENT)
        parcel_forget(m->config.parcel, attr->file_id, 1);
}

void *front_buffer(struct mount *m)
{
    void *buffer = pthread_getspecific(m->buffer_key);
    if (buffer)
        return buffer;
    buffer =
        mmap(NULL, FRONT_REQUEST_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED)
        return NULL;
    madvise(buffer, FRONT_REQUEST_MAX, MADV_DONTDUMP);
    if (pthread_setspecific(m->buffer_key, buffer) != 0) {
        munmap(buffer, FRONT_REQUEST_MAX);
        return NULL;
    }
    return buffer;
}

void front_buffer_free(void *buffer)
{
    munmap(buffer, FRONT_REQUEST_MAX);
}

int front_find_device(struct mount *m)
{
    struct statx st;
    if (statx(AT_FDCWD, m->config.mountpoint, AT_STATX_DONT_SYNC, STATX_INO, &st) < 0)
        return -errno;
    m->device = makedev(st.stx_dev_major, st.stx_dev_minor);
    return 0;
}

int front_open_root(const struct mount *m)
{
    CLEANUP_CLOSE int fd = open(m->config.mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    return st.st_dev == m->device ? steal_fd(&fd) : -ENOTCONN;
}

struct finding {
    uint64_t file_id;
    struct buffer *path;
};

/* Puts "/NAME" before the path when this is the file that is looked for. */
static int take_name(void *ctx, const char *name, const struct parcel_attr *attr)
{
    const struct finding *finding = ctx;
    if (attr->file_id != finding->file_id)
        return 0;
    CLEANUP_BUFFER struct buffer rest = *finding->path;
    *finding->path = (struct buffer){0};
    int r = buffer_printf(finding->path, "/%s%s", name, rest.size ? (char *)rest.data : "");
    r = r < 0 ? r : buffer_terminate(finding->path);
    return r < 0 ? r : 1;
}

int front_path(const struct mount *m, uint64_t file_id, struct buffer *path)
{
    struct parcel *p = m->config.parcel;
    while (file_id != FUSE_ROOT_ID) {
        uint64_t folder;
        struct finding finding = {.file_id = file_id, .path = path};
        int r = parcel_parent(p, file_id, &folder);
        r = r < 0 ? r : parcel_each_name(p, folder, take_name, &finding);
        if (r <= 0)
            return r < 0 ? r : -ENOENT;
        file_id = folder;
    }
    return path->size ? 0 : -ENOENT;
}

/* Opening a file and closing it has the kernel write out its pages, and wait for all writes. Where
 * a file's mode keeps its owner out, dropping the pages does the same, but for writes that older
 * kernels have under way. A file without a name is nothing that could be kept. */
static int flush_file(struct mount *m, int root_fd, uint64_t file_id)
{
    CLEANUP_BUFFER struct buffer path = {0};
    int r = front_path(m, file_id, &path);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    int fd = openat(root_fd, (char *)path.data + 1, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        return close(fd) < 0 ? -errno : 0;
    return errno == EACCES ? fuse_lowlevel_notify_inval_inode(m->session, file_id, 0, 0) : -errno;
}

int front_flush(struct mount *m, int root_fd)
{
    CLEANUP_FREE uint64_t *ids = NULL;
    size_t count;
    int r = m->ending ? -ENOTCONN : writers_list(m->writers, &ids, &count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = -ENOENT;
        for (int tries = 0; r == -ENOENT && tries < FLUSH_TRIES; tries++)
            r = flush_file(m, root_fd, ids[i]); /* -ENOENT: renamed meanwhile */
    }
    return r == -ENOENT ? 0 : r;
}
