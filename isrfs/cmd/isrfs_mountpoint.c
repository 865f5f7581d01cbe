/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "isrfs/cmd/isrfs_mountpoint.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "isrfs/base/io.h"

#define FUSE_CONF       "/etc/fuse.conf"
#define FUSE_CONF_LIMIT 65536u

static int any_name(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return 1;
}

static int refuse(const char *dir, const char *why, struct failure *failure)
{
    return failure_set(failure, OUTCOME_FAILED, "cannot mount on %s: %s", dir, why);
}

int isrfs_mountpoint_check(const char *dir, char **ret, struct failure *failure)
{
    CLEANUP_FREE char *path = NULL;
    struct statx st;
    int r = site_resolve(dir, &path);
    if (r == 0 && statx(AT_FDCWD, path, 0, STATX_TYPE, &st) < 0)
        r = -errno;
    if (r == -ENOENT)
        return refuse(dir, "there is no such folder (mkdir makes it)", failure);
    if (r == -ENOTCONN || r == -ECONNABORTED)
        return refuse(dir, "a mount whose daemon has died is there (fusermount3 -u removes it)",
                      failure);
    if (r < 0)
        return refuse(dir, strerror(-r), failure);
    if (!S_ISDIR(st.stx_mode))
        return refuse(dir, "it is not a folder", failure);
    if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
        return refuse(dir, "something is mounted there already", failure);
    r = io_each_name(AT_FDCWD, path, any_name, NULL);
    if (r != 0)
        return refuse(dir, r > 0 ? "the folder is not empty" : strerror(-r), failure);
    if (geteuid() != 0 && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0)
        return refuse(dir, "only root may mount on a folder that it may not write to", failure);
    *ret = steal_ptr(path);
    return 0;
}

/* As fusermount3 reads it. What cannot be read is its business. */
static bool conf_allows(const char *text)
{
    static const char word[] = "user_allow_other";
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += strspn(line, " \t\r\n");
        size_t length = strcspn(line, " \t\r\n#");
        if (length == sizeof word - 1 && memcmp(line, word, length) == 0)
            return true;
    }
    return false;
}

int isrfs_mountpoint_allow_other(struct failure *failure)
{
    CLEANUP_BUFFER struct buffer text = {0};
    if (geteuid() == 0)
        return 0;
    int r = io_read_file(AT_FDCWD, FUSE_CONF, FUSE_CONF_LIMIT, &text);
    r = r == -ENOENT ? 0 : r;
    if (r < 0 || buffer_terminate(&text) < 0 || conf_allows((const char *)text.data))
        return 0;
    return failure_set(failure, OUTCOME_FAILED,
                       "allow_other is for root, unless " FUSE_CONF " has a line user_allow_other");
}

static bool is_below(const char *path, const char *top)
{
    size_t length = strlen(top);
    while (length > 1 && top[length - 1] == '/')
        length--;
    return strncmp(path, top, length) == 0 &&
           (path[length] == '/' || path[length] == '\0' || length == 1);
}

int isrfs_mountpoint_above(const char *mountpoint, const char *folder, const char *what,
                           struct failure *failure)
{
    CLEANUP_FREE char *path = NULL;
    if (site_resolve(folder, &path) < 0)
        return 0; /* it is not there at all: others will say so */
    if (!is_below(path, mountpoint))
        return 0;
    return failure_set(failure, OUTCOME_FAILED, "cannot mount on %s: %s %s is below it", mountpoint,
                       what, path);
}
