/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A mount can vanish, and what is then found at its path is the empty folder beneath. So the
 * store's folder is opened once, its marker is read through that descriptor, and all work is
 * relative to it: when the mount goes, the descriptor answers ENOTCONN or ESTALE, and nothing is
 * ever written or missed in the folder beneath.
 *
 * A root is shared by the calls that run on it, which count as references; whoever finds that it
 * has gone takes it out of the store, and it is closed when the last of those calls returns. */
#include "isrfs/store/folder_root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/io.h"
#include "isrfs/base/keyvalue.h"

#define FORMAT     1
#define MARKER_MAX 4096

static const char *const marker_keys[] = {"FORMAT", "UUID", "FANOUT", NULL};
static const char *const fanout_names[] = {
    [FOLDER_FANOUT_2] = "2", [FOLDER_FANOUT_2_1] = "2/1", [FOLDER_FANOUT_2_2] = "2/2"};

static int parse_fanout(const char *text, enum folder_fanout *ret)
{
    for (unsigned i = FOLDER_FANOUT_2; text && i <= FOLDER_FANOUT_2_2; i++)
        if (strcmp(text, fanout_names[i]) == 0) {
            *ret = (enum folder_fanout)i;
            return 0;
        }
    return -EBADMSG;
}

/* The marker's text into ROOT; a reason when it is not one that this release can use. */
static const char *parse_marker(const struct buffer *text, struct folder_root *root)
{
    CLEANUP_KEYVALUE struct keyvalue *kv = NULL;
    uint64_t format;
    uint8_t uuid[STORE_UUID_HEX / 2];
    if (keyvalue_parse(text->data, text->size, marker_keys, &kv, NULL) < 0 ||
        keyvalue_get_u64(kv, "FORMAT", &format) < 0)
        return "its marker isrfs-store is damaged";
    if (format != FORMAT)
        return "its marker isrfs-store shows a format that this release does not know";
    const char *hex = keyvalue_get(kv, "UUID");
    if (!hex || hex_decode(uuid, sizeof uuid, hex) < 0 ||
        parse_fanout(keyvalue_get(kv, "FANOUT"), &root->fanout) < 0)
        return "its marker isrfs-store is damaged";
    memcpy(root->uuid, hex, sizeof root->uuid);
    return NULL;
}

static int read_marker(struct folder_root *root, const char *uuid, const char **ret_reason)
{
    CLEANUP_BUFFER struct buffer text = {0};
    int r = io_read_file(root->fd, FOLDER_MARKER, MARKER_MAX, &text);
    if (r == -ENOMEM)
        return r;
    if (r == -EACCES || r == -EPERM) {
        *ret_reason = "its marker isrfs-store may not be read";
        return r;
    }
    if (r < 0)
        *ret_reason = r == -ENOENT ? "there is no marker isrfs-store in it (is it mounted?)"
                                   : "its marker isrfs-store cannot be read";
    else
        *ret_reason = parse_marker(&text, root);
    if (!*ret_reason && uuid && strcmp(uuid, root->uuid) != 0)
        *ret_reason = "its marker isrfs-store is another store's";
    return *ret_reason ? -EHOSTDOWN : 0;
}

/* On these syncfs waits for everything and fsync errors of any file reach the descriptor. */
static bool is_local(int fd)
{
    struct statfs st;
    if (fstatfs(fd, &st) < 0)
        return false;
    switch ((unsigned long)st.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
        return true;
    default:
        return false;
    }
}

static int open_folder(const char *path, struct folder_root *root, const char **ret_reason)
{
    struct stat st;
    root->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = root->fd < 0 || fstat(root->fd, &st) < 0 ? -errno : 0;
    switch (r) {
    case 0:
        root->dev = st.st_dev;
        root->ino = st.st_ino;
        root->local = is_local(root->fd);
        return 0;
    case -EACCES:
    case -EPERM:
        *ret_reason = "permission denied";
        return r;
    case -ENOMEM:
    case -EMFILE:
    case -ENFILE:
        *ret_reason = "out of memory or file descriptors";
        return r;
    case -ENOENT:
        *ret_reason = "there is no such folder";
        return -EHOSTDOWN;
    case -ENOTDIR:
        *ret_reason = "it is not a folder";
        return -EHOSTDOWN;
    default:
        *ret_reason = "the folder does not answer";
        return -EHOSTDOWN;
    }
}

int folder_root_open(const char *path, const char *uuid, struct folder_root **ret,
                     const char **ret_reason)
{
    *ret_reason = NULL;
    CLEANUP_FOLDER_ROOT struct folder_root *root = calloc(1, sizeof *root);
    if (!root)
        return -ENOMEM;
    atomic_init(&root->refs, 1);
    root->fd = -1;
    int r = open_folder(path, root, ret_reason);
    if (r == 0)
        r = read_marker(root, uuid, ret_reason);
    if (r < 0)
        return r;
    *ret = steal_ptr(root);
    return 0;
}

struct folder_root *folder_root_keep(struct folder_root *root)
{
    atomic_fetch_add(&root->refs, 1);
    return root;
}

void folder_root_drop(struct folder_root *root)
{
    if (!root || atomic_fetch_sub(&root->refs, 1) != 1)
        return;
    if (root->fd >= 0)
        close(root->fd);
    free(root);
}

bool folder_root_alive(const struct folder_root *root)
{
    struct stat st;
    return fstatat(root->fd, FOLDER_MARKER, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

bool folder_root_is(const struct folder_root *root, const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && st.st_dev == root->dev && st.st_ino == root->ino &&
           folder_root_alive(root);
}

static int open_part(int dir, const char *name, bool make)
{
    const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dir, name, flags);
    if (fd >= 0 || errno != ENOENT || !make)
        return fd < 0 ? -errno : fd;
    int r = io_mkdir(dir, name, 0777);
    if (r < 0 && r != -EEXIST)
        return r;
    fd = openat(dir, name, flags);
    return fd < 0 ? -errno : fd;
}

int folder_root_subfolder(const struct folder_root *root, const char *path, bool make)
{
    char name[NAME_MAX + 1];
    CLEANUP_CLOSE int dir = -1;
    for (const char *at = path;;) {
        const char *end = strchrnul(at, '/');
        size_t length = (size_t)(end - at);
        if (length == 0 || length >= sizeof name)
            return -EINVAL;
        memcpy(name, at, length);
        name[length] = '\0';
        int next = open_part(dir < 0 ? root->fd : dir, name, make);
        if (next < 0)
            return next;
        if (dir >= 0)
            close(dir);
        dir = next;
        if (*end == '\0')
            return steal_fd(&dir);
        at = end + 1;
    }
}

int folder_root_format_marker(enum folder_fanout fanout, const char *uuid, struct buffer *out)
{
    CLEANUP_KEYVALUE struct keyvalue *kv = keyvalue_new();
    if (!kv)
        return -ENOMEM;
    int r = keyvalue_set_u64(kv, "FORMAT", FORMAT);
    if (r == 0)
        r = keyvalue_set(kv, "UUID", uuid);
    if (r == 0)
        r = keyvalue_set(kv, "FANOUT", fanout_names[fanout]);
    return r < 0 ? r : keyvalue_format(kv, out);
}
