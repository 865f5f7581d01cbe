/* SPDX-License-Identifier: GPL-3.0-or-later */
/* passthrough [-c] [-f MS] FOLDER DIR: shows the files of one folder on DIR through libfuse and
 * does nothing else: what any FUSE file system costs at least, the yardstick of `make bench`. It is
 * set up as isrfs is: low-level interface, several threads, a descriptor of /dev/fuse for each
 * (clone_fd), writeback cache, pages kept across opens, requests of 1 MiB. Data goes between the
 * file and the kernel by splice(2), which is the fastest that a passthrough can do (cold sequential
 * reads 1.4 times as fast as copying, measured; no difference for warm ones). With -c it is copied
 * through a buffer, as every file system must that makes the data itself. With -f an fsync takes MS
 * milliseconds longer: a disk image in the folder then stands in for a disk that flushes slowly.
 *
 * Only plain files directly in the folder, and nothing but what a benchmark does to them. It
 * returns when the file system can be used and goes on in the background until it is unmounted. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX (1u << 20)
#define TIMEOUT     86400.0
#define THREADS     16u
#define NAMES_MAX   64

/* Inode number i + 2 is names[i]; names are never forgotten. */
struct folder {
    int fd;
    bool splice;
    unsigned flush_ms;
    pthread_mutex_t lock;
    char names[NAMES_MAX][256]; /* lock */
    unsigned count;             /* lock */
};

static struct folder *folder_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

static const char *name_of(const struct folder *f, fuse_ino_t ino)
{
    return ino == FUSE_ROOT_ID ? "." : f->names[ino - 2];
}

/* The number of a name, 0 when there are too many. */
static fuse_ino_t number_of(struct folder *f, const char *name)
{
    fuse_ino_t found = 0;
    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < f->count && !found; i++)
        if (strcmp(f->names[i], name) == 0)
            found = i + 2;
    if (!found && f->count < NAMES_MAX) {
        snprintf(f->names[f->count], sizeof f->names[0], "%s", name);
        found = ++f->count + 1;
    }
    pthread_mutex_unlock(&f->lock);
    return found;
}

static int fill_entry(struct folder *f, const char *name, struct fuse_entry_param *ret)
{
    *ret = (struct fuse_entry_param){.attr_timeout = TIMEOUT, .entry_timeout = TIMEOUT};
    if (fstatat(f->fd, name, &ret->attr, AT_SYMLINK_NOFOLLOW) < 0)
        return errno;
    ret->ino = ret->attr.st_ino = number_of(f, name);
    return ret->ino ? 0 : ENFILE;
}

static void do_init(void *userdata, struct fuse_conn_info *conn)
{
    const struct folder *f = userdata;
    unsigned splice = FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE;
    conn->want |= conn->capable & FUSE_CAP_WRITEBACK_CACHE;
    conn->want &= ~(unsigned)(splice | FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_ATOMIC_O_TRUNC);
    conn->want |= f->splice ? conn->capable & splice : 0;
    conn->max_write = conn->max_readahead = REQUEST_MAX;
    conn->max_background = 64;
    conn->congestion_threshold = 48;
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent;
    struct fuse_entry_param entry;
    int error = fill_entry(folder_of(req), name, &entry);
    if (error)
        fuse_reply_err(req, error);
    else
        fuse_reply_entry(req, &entry);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    struct folder *f = folder_of(req);
    struct stat st;
    if (fstatat(f->fd, name_of(f, ino), &st, AT_SYMLINK_NOFOLLOW) < 0) {
        fuse_reply_err(req, errno);
        return;
    }
    st.st_ino = ino;
    fuse_reply_attr(req, &st, TIMEOUT);
}

static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int set,
                       struct fuse_file_info *fi)
{
    struct folder *f = folder_of(req);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, attr->st_mtim};
    int r = 0;
    if (set & FUSE_SET_ATTR_SIZE) {
        int fd = openat(f->fd, name_of(f, ino), O_WRONLY | O_CLOEXEC);
        r = fd < 0 ? -1 : ftruncate(fd, attr->st_size);
        if (fd >= 0)
            close(fd);
    }
    if (r == 0 && set & FUSE_SET_ATTR_MTIME)
        r = utimensat(f->fd, name_of(f, ino), times, 0);
    if (r < 0)
        fuse_reply_err(req, errno);
    else
        do_getattr(req, ino, fi);
}

/* The kernel reads whole pages into its writeback cache, so files are always opened for both. */
static int open_file(struct folder *f, const char *name, int flags, mode_t mode)
{
    return openat(f->fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, mode);
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct folder *f = folder_of(req);
    int fd = open_file(f, name_of(f, ino), 0, 0);
    if (fd < 0) {
        fuse_reply_err(req, errno);
        return;
    }
    fi->fh = (uint64_t)fd;
    fi->keep_cache = 1;
    fuse_reply_open(req, fi);
}

static void do_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *fi)
{
    (void)parent;
    struct folder *f = folder_of(req);
    struct fuse_entry_param entry;
    int fd = open_file(f, name, O_CREAT, mode);
    int error = fd < 0 ? errno : fill_entry(f, name, &entry);
    if (error) {
        if (fd >= 0)
            close(fd);
        fuse_reply_err(req, error);
        return;
    }
    fi->fh = (uint64_t)fd;
    fi->keep_cache = 1;
    fuse_reply_create(req, &entry, fi);
}

static void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    close((int)fi->fh);
    fuse_reply_err(req, 0);
}

static void do_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent;
    fuse_reply_err(req, unlinkat(folder_of(req)->fd, name, 0) < 0 ? errno : 0);
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
    static _Thread_local char buffer[REQUEST_MAX];
    (void)ino;
    if (folder_of(req)->splice) {
        struct fuse_bufvec data = FUSE_BUFVEC_INIT(size);
        data.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
        data.buf[0].fd = (int)fi->fh;
        data.buf[0].pos = offset;
        fuse_reply_data(req, &data, FUSE_BUF_SPLICE_MOVE);
        return;
    }
    ssize_t n = pread((int)fi->fh, buffer, size < sizeof buffer ? size : sizeof buffer, offset);
    if (n < 0)
        fuse_reply_err(req, errno);
    else
        fuse_reply_buf(req, buffer, (size_t)n);
}

static void do_write(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *data, off_t offset,
                     struct fuse_file_info *fi)
{
    (void)ino;
    struct fuse_bufvec out = FUSE_BUFVEC_INIT(fuse_buf_size(data));
    out.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
    out.buf[0].fd = (int)fi->fh;
    out.buf[0].pos = offset;
    ssize_t n = fuse_buf_copy(&out, data, 0);
    if (n < 0)
        fuse_reply_err(req, (int)-n);
    else
        fuse_reply_write(req, (size_t)n);
}

static void do_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    (void)fi;
    fuse_reply_err(req, 0);
}

static void do_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)ino;
    const struct folder *f = folder_of(req);
    struct timespec more = {f->flush_ms / 1000, f->flush_ms % 1000 * 1000000L};
    if (f->flush_ms)
        nanosleep(&more, NULL);
    int r = datasync ? fdatasync((int)fi->fh) : fsync((int)fi->fh);
    fuse_reply_err(req, r < 0 ? errno : 0);
}

static void do_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t size,
                         struct fuse_file_info *fi)
{
    (void)ino;
    fuse_reply_err(req, fallocate((int)fi->fh, mode, offset, size) < 0 ? errno : 0);
}

static void do_statfs(fuse_req_t req, fuse_ino_t ino)
{
    (void)ino;
    struct statvfs st;
    if (fstatvfs(folder_of(req)->fd, &st) < 0)
        fuse_reply_err(req, errno);
    else
        fuse_reply_statfs(req, &st);
}

static const struct fuse_lowlevel_ops ops = {
    .init = do_init,
    .lookup = do_lookup,
    .getattr = do_getattr,
    .setattr = do_setattr,
    .open = do_open,
    .create = do_create,
    .release = do_release,
    .unlink = do_unlink,
    .read = do_read,
    .write_buf = do_write,
    .flush = do_flush,
    .fsync = do_fsync,
    .fallocate = do_fallocate,
    .statfs = do_statfs,
};

static int serve(struct fuse_session *session, const char *dir)
{
    struct fuse_loop_config *loop = fuse_loop_cfg_create();
    if (!loop || fuse_session_mount(session, dir) != 0)
        return 1;
    fuse_loop_cfg_set_clone_fd(loop, 1);
    fuse_loop_cfg_set_max_threads(loop, THREADS);
    fuse_loop_cfg_set_idle_threads(loop, THREADS);
    int r = fuse_daemonize(0) < 0 ? -1 : fuse_session_loop_mt(session, loop);
    fuse_session_unmount(session);
    fuse_loop_cfg_destroy(loop);
    return r < 0;
}

int main(int argc, char **argv)
{
    static struct folder folder = {.lock = PTHREAD_MUTEX_INITIALIZER};
    folder.splice = true;
    for (int option; (option = getopt(argc, argv, "cf:")) != -1;)
        if (option == 'c')
            folder.splice = false;
        else if (option == 'f')
            folder.flush_ms = (unsigned)strtoul(optarg, NULL, 10);
        else
            argc = 0;
    if (argc - optind != 2) {
        fprintf(stderr, "usage: passthrough [-c] [-f MS] FOLDER DIR\n");
        return 2;
    }
    folder.fd = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder.fd < 0) {
        perror(argv[optind]);
        return 1;
    }
    char *const words[] = {argv[0], "-o", "fsname=passthrough,subtype=passthrough"};
    struct fuse_args args = FUSE_ARGS_INIT(3, (char **)words);
    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof ops, &folder);
    if (!session)
        return 1;
    char *dir = realpath(argv[optind + 1], NULL);
    int status = dir ? serve(session, dir) : 1;
    fuse_session_destroy(session);
    free(dir);
    return status;
}
