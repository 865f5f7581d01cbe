/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "isrfs/fuse/control_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/io.h"

#define BACKLOG      16
#define SEND_SECONDS 10

static struct sockaddr_un address(int dirfd)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/" CONTROL_NAME, dirfd);
    return a;
}

int control_socket_listen(int dirfd)
{
    int r = io_unlink(dirfd, CONTROL_NAME);
    if (r < 0 && r != -ENOENT)
        return r;
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un a = address(dirfd);
    /* the mode that a socket has when it is bound is that of its name */
    if (fd < 0 || fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        listen(fd, BACKLOG) < 0)
        return -errno;
    return steal_fd(&fd);
}

int control_socket_connect(int dirfd)
{
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un a = address(dirfd);
    struct timeval limit = {.tv_sec = SEND_SECONDS}; /* for connect and send */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ||
        connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        return -errno;
    return steal_fd(&fd);
}
