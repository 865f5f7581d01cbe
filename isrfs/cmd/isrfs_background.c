/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verdict goes through a pipe, as one struct: both ends are this program. A child that dies
 * without one is told from the end of the pipe. */
#include "isrfs/cmd/isrfs_background.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "isrfs/base/io.h"
#include "isrfs/cmd/isrfs_options.h"

#define MESSAGES     "messages"
#define MESSAGES_OLD "messages.1"
#define MESSAGES_MAX (1 << 20)

struct isrfs_background {
    int fd;
};

static void wait_for_verdict(int fd, struct failure *ret)
{
    size_t got = 0;
    while (got < sizeof *ret) {
        ssize_t n = read(fd, (char *)ret + got, sizeof *ret - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    if (got < sizeof *ret)
        failure_set(ret, OUTCOME_FAILED, "the daemon died before it had mounted anything");
    ret->text[sizeof ret->text - 1] = '\0';
}

int isrfs_background_start(struct isrfs_background **ret, struct failure *ret_verdict)
{
    int ends[2];
    CLEANUP_FREE struct isrfs_background *b = calloc(1, sizeof *b);
    if (!b || pipe2(ends, O_CLOEXEC) < 0)
        return b ? -errno : -ENOMEM;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        b->fd = ends[1];
        *ret = steal_ptr(b);
        return 0;
    }
    int r = pid < 0 ? -errno : 1;
    close(ends[1]);
    if (r > 0)
        wait_for_verdict(ends[0], ret_verdict);
    close(ends[0]);
    return r;
}

static int open_messages(int dirfd)
{
    struct stat st;
    if (fstatat(dirfd, MESSAGES, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > MESSAGES_MAX)
        io_rename(dirfd, MESSAGES, dirfd, MESSAGES_OLD);
    return io_open_write(dirfd, MESSAGES, O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0600);
}

int isrfs_background_detach(int dirfd)
{
    CLEANUP_CLOSE int messages = open_messages(dirfd);
    if (messages < 0)
        return messages;
    CLEANUP_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || setsid() < 0 || chdir("/") < 0 || dup2(null, STDIN_FILENO) < 0 ||
        dup2(null, STDOUT_FILENO) < 0 || dup2(messages, STDERR_FILENO) < 0)
        return -errno;
    return 0;
}

void isrfs_background_tell(struct isrfs_background *b, const struct failure *verdict)
{
    if (!b) {
        isrfs_background_say(verdict);
        return;
    }
    ssize_t n;
    do
        n = write(b->fd, verdict, sizeof *verdict); /* fits into a pipe, so it is whole */
    while (n < 0 && errno == EINTR);
    close(b->fd);
    free(b);
}

int isrfs_background_say(const struct failure *verdict)
{
    if (*verdict->text)
        fprintf(stderr, "isrfs: %s\n", verdict->text);
    if (verdict->outcome == OUTCOME_USAGE)
        isrfs_options_usage();
    return (int)verdict->outcome;
}
