/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hanging_fs FOLDER DIR: shows FOLDER on DIR through libfuse, every call asking this process, and
 * stops answering when it is told to. What it hears on standard input:
 *
 *   f TEXT   requests that concern a path with TEXT in it are taken and not answered (whoever
 *            made them is then beyond SIGKILL); "f /" is all
 *   e TEXT   reading a file with TEXT in its path gives EIO, as from a bad disk
 *   s N      when the Nth request from now has been taken, the whole process is stopped
 *   t        all are answered, those that wait and all later ones; nothing is stopped any more
 *
 * and what it says on standard output, a byte each: "r" it is ready, the order's letter it has done
 * so, "b" a request has come that is not answered. It stays in the foreground. (SIGSTOP from
 * elsewhere does something else: requests are not even taken, and SIGKILL ends who made them.) */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fs {
    int dir;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool frozen, bad;      /* lock */
    char text[300];        /* lock */
    unsigned long stop_in; /* requests until it is stopped, 0: it is not; lock */
};

static struct fs *self(void)
{
    return fuse_get_context()->private_data;
}

static void tell(char what)
{
    if (write(STDOUT_FILENO, &what, 1) != 1)
        abort();
}

/* What each call begins with; the path relative to the folder. */
static const char *enter(const char *path)
{
    struct fs *fs = self();
    pthread_mutex_lock(&fs->lock);
    if (fs->frozen && strstr(path, fs->text))
        tell('b');
    if (fs->stop_in > 0 && --fs->stop_in == 0) {
        tell('b');
        raise(SIGSTOP);
    }
    while (fs->frozen && strstr(path, fs->text))
        pthread_cond_wait(&fs->changed, &fs->lock);
    pthread_mutex_unlock(&fs->lock);
    return path[1] ? path + 1 : ".";
}

static int result(long r)
{
    return r < 0 ? -errno : (int)r;
}

static int do_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
    (void)fi;
    return result(fstatat(self()->dir, enter(path), st, AT_SYMLINK_NOFOLLOW));
}

static int do_access(const char *path, int mode)
{
    return result(faccessat(self()->dir, enter(path), mode, 0));
}

static int do_opendir(const char *path, struct fuse_file_info *fi)
{
    (void)fi;
    enter(path);
    return 0;
}

static int do_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
    (void)offset, (void)fi, (void)flags;
    int fd = openat(self()->dir, enter(path), O_RDONLY | O_DIRECTORY);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return -errno;
    for (struct dirent *e; (e = readdir(d));)
        fill(buf, e->d_name, NULL, 0, 0);
    closedir(d);
    return 0;
}

static int open_flags(const char *path, struct fuse_file_info *fi, int flags, mode_t mode)
{
    int fd = openat(self()->dir, enter(path), flags & ~O_NOFOLLOW, mode);
    if (fd < 0)
        return -errno;
    fi->fh = (uint64_t)fd;
    fi->direct_io = 1;
    return 0;
}

static int do_open(const char *path, struct fuse_file_info *fi)
{
    return open_flags(path, fi, fi->flags, 0);
}

static int do_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    return open_flags(path, fi, fi->flags | O_CREAT, mode);
}

static bool is_bad(const char *path)
{
    struct fs *fs = self();
    pthread_mutex_lock(&fs->lock);
    bool bad = fs->bad && strstr(path, fs->text);
    pthread_mutex_unlock(&fs->lock);
    return bad;
}

static int do_read(const char *path, char *buf, size_t size, off_t at, struct fuse_file_info *fi)
{
    enter(path);
    if (is_bad(path))
        return -EIO;
    return result(pread((int)fi->fh, buf, size, at));
}

static int do_write(const char *path, const char *buf, size_t size, off_t at,
                    struct fuse_file_info *fi)
{
    enter(path);
    return result(pwrite((int)fi->fh, buf, size, at));
}

/* What close(2) waits for. */
static int do_flush(const char *path, struct fuse_file_info *fi)
{
    (void)fi;
    enter(path);
    return 0;
}

static int do_release(const char *path, struct fuse_file_info *fi)
{
    (void)path;
    return result(close((int)fi->fh));
}

static int do_fsync(const char *path, int data, struct fuse_file_info *fi)
{
    (void)data;
    enter(path);
    return result(fsync((int)fi->fh));
}

static int do_fsyncdir(const char *path, int data, struct fuse_file_info *fi)
{
    (void)data, (void)fi;
    enter(path);
    return 0;
}

static int do_mkdir(const char *path, mode_t mode)
{
    return result(mkdirat(self()->dir, enter(path), mode));
}

static int do_unlink(const char *path)
{
    return result(unlinkat(self()->dir, enter(path), 0));
}

static int do_rmdir(const char *path)
{
    return result(unlinkat(self()->dir, enter(path), AT_REMOVEDIR));
}

static int do_rename(const char *from, const char *to, unsigned flags)
{
    int dir = self()->dir;
    from = enter(from);
    return result(renameat2(dir, from, dir, enter(to), flags));
}

static void *listen_to_orders(void *arg)
{
    struct fs *fs = arg;
    char line[300];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        pthread_mutex_lock(&fs->lock);
        fs->frozen = line[0] == 'f';
        fs->stop_in = line[0] == 's' ? strtoul(line + 1, NULL, 10) : 0;
        fs->bad = line[0] == 'e';
        if (fs->frozen || fs->bad)
            snprintf(fs->text, sizeof fs->text, "%s", line + 2);
        pthread_cond_broadcast(&fs->changed);
        pthread_mutex_unlock(&fs->lock);
        tell(line[0]);
    }
    return NULL;
}

static void *do_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
    (void)conn;
    config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
    struct fs *fs = self();
    pthread_t thread;
    if (pthread_create(&thread, NULL, listen_to_orders, fs) != 0)
        abort();
    pthread_detach(thread);
    tell('r');
    return fs;
}

static const struct fuse_operations operations = {
    .init = do_init,
    .getattr = do_getattr,
    .access = do_access,
    .opendir = do_opendir,
    .readdir = do_readdir,
    .open = do_open,
    .create = do_create,
    .read = do_read,
    .write = do_write,
    .flush = do_flush,
    .release = do_release,
    .fsync = do_fsync,
    .fsyncdir = do_fsyncdir,
    .mkdir = do_mkdir,
    .unlink = do_unlink,
    .rmdir = do_rmdir,
    .rename = do_rename,
};

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    struct fs fs = {.dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                    .lock = PTHREAD_MUTEX_INITIALIZER,
                    .changed = PTHREAD_COND_INITIALIZER};
    if (fs.dir < 0)
        return 1;
    char name[] = "hanging_fs", foreground[] = "-f";
    char *args[] = {name, foreground, argv[2], NULL};
    return fuse_main(3, args, &operations, &fs);
}
