/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making a store: the marker is the only thing that is made, and only where there is nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/store/folder_root.h"

#define GIB (1ull << 30)

enum folder_fanout folder_fanout_for(uint64_t bytes)
{
    return bytes <= 64 * GIB     ? FOLDER_FANOUT_2
           : bytes <= 1024 * GIB ? FOLDER_FANOUT_2_1
                                 : FOLDER_FANOUT_2_2;
}

/* 1 for any name but that of a marker that was being written when its maker was killed. */
static int any_name(void *ctx, const char *name)
{
    (void)ctx;
    uint8_t random[8];
    return strncmp(name, ".tmp-", 5) != 0 || hex_decode(random, sizeof random, name + 5) < 0;
}

/* -EEXIST with the uuid if PATH is a store, -ENOTEMPTY if it is anything but an empty folder. */
static int check_free(const char *path, char ret_uuid[STORE_UUID_HEX + 1])
{
    const char *reason;
    CLEANUP_FOLDER_ROOT struct folder_root *root = NULL;
    int r = folder_root_open(path, NULL, &root, &reason);
    if (r == 0) {
        memcpy(ret_uuid, root->uuid, sizeof root->uuid);
        return -EEXIST;
    }
    r = io_each_name(AT_FDCWD, path, any_name, NULL);
    return r > 0 ? -ENOTEMPTY : r;
}

static int write_marker(int dir, enum folder_fanout fanout, char ret_uuid[STORE_UUID_HEX + 1])
{
    uint8_t uuid[STORE_UUID_HEX / 2];
    CLEANUP_BUFFER struct buffer text = {0};
    int r = random_bytes(uuid, sizeof uuid);
    if (r < 0)
        return r;
    hex_encode(ret_uuid, uuid, sizeof uuid);
    r = folder_root_format_marker(fanout, ret_uuid, &text);
    return r < 0 ? r : io_replace(dir, FOLDER_MARKER, text.data, text.size, 0666, true);
}

/* Two may have made the same store at once; the one whose marker was replaced learns it here. */
static int check_mine(const char *path, char uuid[STORE_UUID_HEX + 1])
{
    const char *reason;
    CLEANUP_FOLDER_ROOT struct folder_root *root = NULL;
    int r = folder_root_open(path, NULL, &root, &reason);
    if (r < 0 || strcmp(root->uuid, uuid) == 0)
        return r;
    memcpy(uuid, root->uuid, sizeof root->uuid);
    return -EEXIST;
}

/* The store's own name, also if another made it: who did may have been killed before this. */
static int flush_name(const char *path)
{
    CLEANUP_CLOSE int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = dir < 0 ? -errno : io_fsync_dir(dir, "..");
    /* the parent is not ours to flush, or its file system knows no such thing */
    return r == -EINVAL || r == -EACCES ? 0 : r;
}

int folder_create(const char *path, enum folder_fanout fanout, char ret_uuid[STORE_UUID_HEX + 1])
{
    int r = io_mkdir(AT_FDCWD, path, 0777);
    if (r == -EEXIST)
        r = check_free(path, ret_uuid);
    CLEANUP_CLOSE int dir = r < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r == 0 && dir < 0)
        r = -errno;
    if (r == 0)
        r = write_marker(dir, fanout, ret_uuid);
    if (r == 0 || r == -EEXIST) {
        int flushed = flush_name(path);
        r = flushed < 0 ? flushed : r;
    }
    if (r == 0)
        r = check_mine(path, ret_uuid);
    char name[256];
    if (r < 0 && r != -EEXIST)
        log_debug("store %s cannot be made: %s", log_clean(name, sizeof name, path),
                  r == -ENOTEMPTY ? "the folder is not empty and is no store" : strerror(-r));
    return r;
}
