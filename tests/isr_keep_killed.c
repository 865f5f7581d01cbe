/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isr-keep for the tests that kill a command anywhere: each system call that changes something on
 * disk first takes one from the number in the file that is open as descriptor 8, and at zero kills
 * the shell that runs the command, and this process. A write at which that happens is torn. Where
 * ISR_KEEP_WAITS names a FIFO, this process goes on instead when something has opened that. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEFT_FD 8

static int is_last(void)
{
    char text[32] = "";
    if (pread(LEFT_FD, text, sizeof text - 1, 0) <= 0)
        abort();
    long left = strtol(text, NULL, 10) - 1;
    int n = snprintf(text, sizeof text, "%ld\n", left);
    if (ftruncate(LEFT_FD, 0) < 0 || pwrite(LEFT_FD, text, (size_t)n, 0) != n)
        abort();
    return left == 0;
}

static void die(void)
{
    const char *fifo = getenv("ISR_KEEP_WAITS");
    kill(getppid(), SIGKILL);
    if (!fifo)
        raise(SIGKILL);
    else if (open(fifo, O_RDONLY | O_CLOEXEC) < 0)
        abort();
}

/* Where ISR_KEEP_FLUSH names a program, that is run before each flush, and may have it fail; and
 * nothing is killed. */
static const char *before_flush(void)
{
    return getenv("ISR_KEEP_FLUSH");
}

static void step(void)
{
    if (!before_flush() && is_last())
        die();
}

int __real_openat64(int dirfd, const char *path, int flags, ...);
int __wrap_openat64(int dirfd, const char *path, int flags, ...);
int __wrap_openat64(int dirfd, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (flags & O_CREAT)
        step();
    return __real_openat64(dirfd, path, flags, mode);
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !before_flush() && is_last()) {
        if (!getenv("ISR_KEEP_WAITS") && __real_write(fd, data, size / 2) < 0)
            abort();
        die();
    }
    return __real_write(fd, data, size);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    const char *program = before_flush();
    if (program && system(program) != 0) {
        errno = ENOSPC;
        return -1;
    }
    step();
    return __real_fsync(fd);
}

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    step();
    return __real_renameat(from_fd, from, to_fd, to);
}

int __real_unlinkat(int dirfd, const char *path, int flags);
int __wrap_unlinkat(int dirfd, const char *path, int flags);
int __wrap_unlinkat(int dirfd, const char *path, int flags)
{
    step();
    return __real_unlinkat(dirfd, path, flags);
}
