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

static int any_name(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return 1;
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

int folder_create(const char *path, enum folder_fanout fanout, char ret_uuid[STORE_UUID_HEX + 1])
{
    int r = io_mkdir(AT_FDCWD, path, 0777);
    bool made = r == 0;
    if (r == -EEXIST)
        r = check_free(path, ret_uuid);
    CLEANUP_CLOSE int dir = r < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r == 0 && dir < 0)
        r = -errno;
    if (r == 0)
        r = write_marker(dir, fanout, ret_uuid);
    if (r == 0 && made) {
        r = io_fsync_dir(dir, "..");
        if (r == -EINVAL || r == -EACCES)
            r = 0; /* the parent is not ours to flush, or its file system knows no such thing */
    }
    if (r == 0)
        r = check_mine(path, ret_uuid);
    char name[256];
    if (r < 0 && r != -EEXIST)
        log_debug("store %s cannot be made: %s", log_clean(name, sizeof name, path),
                  r == -ENOTEMPTY ? "the folder is not empty and is no store" : strerror(-r));
    return r;
}
