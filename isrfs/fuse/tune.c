/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel allows a FUSE mount one percent of the dirty pages, strictly, which throttles a guest
 * whose memory is a mapped file (three times as slow, measured), and reads ahead 128 KiB, one
 * request a chunk. Root may change both; for others everything works as it is. */
#include "isrfs/fuse/tune.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/io.h"
#include "isrfs/base/log.h"

static void set(int dirfd, const char *name, const char *value)
{
    CLEANUP_CLOSE int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : io_write(fd, value, strlen(value));
    if (r < 0)
        log_debug("cannot set %s of the mount: %s", name, strerror(-r));
}

void tune_mount(dev_t device)
{
    char path[64];
    snprintf(path, sizeof path, "/sys/class/bdi/%u:%u", major(device), minor(device));
    CLEANUP_CLOSE int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return;
    set(dirfd, "read_ahead_kb", "1024");
    set(dirfd, "strict_limit", "0");
    set(dirfd, "max_ratio", "100");
}
