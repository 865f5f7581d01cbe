/* SPDX-License-Identifier: GPL-3.0-or-later */
/* posix_spawn: the child never has a copy of this process's memory, in which there are keys, nor
 * any of its descriptors. It is in a session of its own, so that no terminal's ^C ends it, and has
 * neither a working folder nor a standard error that could keep anything busy. */
#include "isrfs/fuse/handover_process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/process.h"

#define PROGRAM "isrfs-handover-child"

extern char **environ;

void handover_process_init(struct handover_process *p)
{
    *p = (struct handover_process){.pid = -1, .pidfd = -1, .socket = -1};
}

/* What happens between fork and exec. */
static int describe(int socket, posix_spawn_file_actions_t *files, posix_spawnattr_t *attr)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int r = posix_spawn_file_actions_adddup2(files, socket, 0);
    r = r ? r : posix_spawn_file_actions_addopen(files, 1, "/dev/null", O_WRONLY, 0);
    r = r ? r : posix_spawn_file_actions_adddup2(files, 1, 2);
    r = r ? r : posix_spawn_file_actions_addclosefrom_np(files, 3);
    r = r ? r : posix_spawn_file_actions_addchdir_np(files, "/");
    r = r ? r : posix_spawnattr_setsigmask(attr, &none);
    r = r ? r : posix_spawnattr_setsigdefault(attr, &all);
    return r ? r
             : posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                  POSIX_SPAWN_SETSID);
}

static int spawn(int socket, const char *const *argv, pid_t *ret)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    int r = posix_spawn_file_actions_init(&files);
    if (r)
        return -r;
    r = posix_spawnattr_init(&attr);
    if (r == 0) {
        r = describe(socket, &files, &attr);
        r = r ? r
              : posix_spawn(ret, argv[0], &files, &attr, (char *const *)(const void *)argv,
                            environ);
        posix_spawnattr_destroy(&attr);
    }
    posix_spawn_file_actions_destroy(&files);
    return -r;
}

int handover_process_start(struct handover_process *p, const char *mountpoint, dev_t device)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, (uint64_t)device);
    CLEANUP_FREE char *program = process_helper(PROGRAM);
    if (!program)
        return -ENOMEM;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    CLEANUP_CLOSE int ours = ends[0];
    CLEANUP_CLOSE int theirs = ends[1];
    const char *const argv[] = {program, mountpoint, number, NULL};
    int r = spawn(theirs, argv, &p->pid);
    if (r < 0) {
        p->pid = -1;
        return r;
    }
    p->socket = steal_fd(&ours);
    p->pidfd = pidfd_open(p->pid, 0);
    if (p->pidfd >= 0)
        return 0;
    r = -errno; /* it has nothing to do yet, so its end is near */
    kill(p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    close(p->socket);
    handover_process_init(p);
    return r;
}

int handover_process_ask(const struct handover_process *p, uint64_t file_id, const char *path)
{
    struct handover_request request = {.file_id = file_id};
    size_t length = strlen(path);
    if (length >= PATH_MAX)
        return -ENAMETOOLONG;
    struct iovec parts[2] = {{&request, sizeof request}, {(char *)(uintptr_t)path, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    return sendmsg(p->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int handover_process_answer(const struct handover_process *p, struct handover_answer *ret)
{
    ssize_t n;
    do
        n = recv(p->socket, ret, sizeof *ret, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    return n == sizeof *ret ? 1 : -EPIPE;
}

void handover_process_kill(struct handover_process *p)
{
    if (p->pidfd >= 0)
        pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0);
    cleanup_close(&p->socket);
    p->socket = -1;
}

bool handover_process_ended(struct handover_process *p)
{
    struct pollfd end = {p->pidfd, POLLIN, 0};
    if (p->pid < 0)
        return true;
    if (poll(&end, 1, 0) <= 0)
        return false;
    waitpid(p->pid, NULL, WNOHANG);
    cleanup_close(&p->socket);
    cleanup_close(&p->pidfd);
    handover_process_init(p);
    return true;
}

void handover_process_close(struct handover_process *p)
{
    handover_process_kill(p);
    if (handover_process_ended(p))
        return;
    cleanup_close(&p->pidfd);
    handover_process_init(p);
}
