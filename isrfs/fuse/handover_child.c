/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isrfs-handover-child MOUNTPOINT DEVICE: opens and closes the files below the mountpoint that it
 * is told on descriptor 0 (handover_process.h), which has the kernel write out their pages and
 * their times, and wait for that. Started by isrfs and of use to nobody else.
 *
 * Each of a few threads takes a request, serves it and answers, so that a file that hangs holds up
 * no other. Nothing of the mount is open between a request's end and the next one's beginning; both
 * descriptors are closed before the answer. The first thread waits for the end of the socket and
 * then ends the process, whatever the others do: one in the kernel ends when the file system does,
 * for this process does not keep that alive. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/fuse/handover_process.h"

#define SOCKET  0
#define THREADS 8

struct place {
    const char *mountpoint;
    dev_t device;
};

/* The root of the mount, if it is still there: neither this nor looking at it asks the daemon. */
static int open_root(const struct place *place)
{
    CLEANUP_CLOSE int root = open(place->mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct statx st;
    if (root < 0 || statx(root, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &st) < 0)
        return -errno;
    bool same = makedev(st.stx_dev_major, st.stx_dev_minor) == place->device;
    return same ? steal_fd(&root) : -ENOTCONN;
}

/* What cannot be opened (removed or renamed meanwhile, or not to be read by its owner) is left as
 * it is. */
static int hand_over(const struct place *place, const char *path)
{
    CLEANUP_CLOSE int root = open_root(place);
    struct open_how how = {
        .flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };
    int fd = root < 0 ? -1 : (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    return fd >= 0 && close(fd) < 0 ? -errno : 0;
}

static void *work(void *arg)
{
    const struct place *place = arg;
    struct {
        struct handover_request request;
        char path[PATH_MAX];
    } message;
    for (;;) {
        ssize_t n = recv(SOCKET, &message, sizeof message - 1, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= (ssize_t)sizeof message.request)
            return NULL;
        ((char *)&message)[n] = '\0';
        struct handover_answer answer = {.file_id = message.request.file_id};
        answer.result = hand_over(place, message.path);
        if (send(SOCKET, &answer, sizeof answer, MSG_NOSIGNAL) < 0)
            return NULL;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "%s: this program is started by isrfs\n", argv[0]);
        return 1;
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    struct place place = {argv[1], (dev_t)strtoumax(argv[2], NULL, 10)};
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, &place) != 0)
            return 1;
        pthread_detach(thread);
    }
    struct pollfd end = {SOCKET, 0, 0}; /* the other end is closed: POLLHUP */
    while (poll(&end, 1, -1) < 0 && errno == EINTR)
        ;
    _exit(0);
}
