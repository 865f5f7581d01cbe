/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inode numbers from VIRTUAL_FIRST on are fixed for the folder and its files, and for a map of
 * chunks CHUNKS_OF plus the file's id; so nothing has to be remembered about what the kernel knows.
 * The kernel is told to keep nothing about them, because files come and go. Sizes are shown as 0,
 * as in /proc: the text is made on open, and read with direct_io to its end. */
#include "isrfs/fuse/virtual.h"

#include <string.h>

#include "isrfs/base/keyvalue.h"
#include "isrfs/fuse/virtual_text.h"

enum {
    FOLDER = VIRTUAL_FIRST,
    STATUS,
    STATS,
    CHUNKS,
};
#define CHUNKS_OF (VIRTUAL_FIRST | UINT64_C(1) << 61)

struct virtual_file {
    struct buffer text;
};

static const struct {
    const char *name;
    uint64_t ino;
    bool is_folder;
} in_folder[] = {{"chunks", CHUNKS, true}, {"stats", STATS, false}, {"status", STATUS, false}};

static bool is_folder(fuse_ino_t ino)
{
    return ino == FOLDER || ino == CHUNKS;
}

int virtual_stat(struct mount *m, fuse_ino_t ino, struct stat *ret)
{
    struct parcel_attr attr;
    if (ino > CHUNKS) {
        int r = parcel_getattr(m->config.parcel, ino & ~CHUNKS_OF, &attr);
        if (r < 0)
            return r;
    }
    *ret = (struct stat){
        .st_ino = ino,
        .st_mode = is_folder(ino) ? S_IFDIR | 0555 : S_IFREG | 0444,
        .st_nlink = is_folder(ino) ? 2 : 1,
        .st_uid = m->uid,
        .st_gid = m->gid,
        .st_blksize = 4096,
    };
    clock_gettime(CLOCK_REALTIME, &ret->st_mtim);
    ret->st_atim = ret->st_ctim = ret->st_mtim;
    return 0;
}

/* The regular file that a name in chunks/ stands for. */
static int find_chunks(struct mount *m, const char *name, fuse_ino_t *ret)
{
    CLEANUP_FREE char *path = NULL;
    int r = percent_decode(name, &path);
    if (r < 0)
        return r == -EBADMSG ? -ENOENT : r;
    struct parcel_attr attr;
    r = parcel_find(m->config.parcel, path, &attr);
    if (r < 0 || attr.is_folder)
        return r < 0 ? r : -ENOENT;
    *ret = CHUNKS_OF | attr.file_id;
    return 0;
}

static int find(struct mount *m, fuse_ino_t parent, const char *name, fuse_ino_t *ret)
{
    if (!virtual_is(parent)) {
        *ret = FOLDER;
        return 0;
    }
    if (parent == CHUNKS)
        return find_chunks(m, name, ret);
    for (size_t i = 0; i < sizeof in_folder / sizeof *in_folder; i++) {
        if (parent == FOLDER && strcmp(name, in_folder[i].name) == 0) {
            *ret = in_folder[i].ino;
            return 0;
        }
    }
    return -ENOENT;
}

int virtual_lookup(struct mount *m, fuse_ino_t parent, const char *name,
                   struct fuse_entry_param *ret)
{
    *ret = (struct fuse_entry_param){0};
    int r = find(m, parent, name, &ret->ino);
    return r < 0 ? r : virtual_stat(m, ret->ino, &ret->attr);
}

struct walk {
    struct parcel *parcel;
    int (*fn)(void *ctx, const char *name, uint64_t ino, bool is_folder);
    void *ctx;
    struct buffer path; /* encoded path of the folder that is being walked, with its last %2F */
};

/* Names too long to be looked up are left out of the list. */
static int walk_name(void *ctx, const char *name, const struct parcel_attr *attr)
{
    struct walk *w = ctx;
    CLEANUP_FREE char *encoded = percent_encode(name);
    size_t before = w->path.size;
    int r = encoded ? buffer_append_text(&w->path, encoded) : -ENOMEM;
    if (r == 0 && attr->is_folder) {
        r = buffer_append_text(&w->path, "%2F");
        if (r == 0)
            r = parcel_each_name(w->parcel, attr->file_id, walk_name, w);
    } else if (r == 0 && w->path.size <= CATALOG_NAME_MAX) {
        r = buffer_terminate(&w->path);
        if (r == 0)
            r = w->fn(w->ctx, (const char *)w->path.data, CHUNKS_OF | attr->file_id, false);
    }
    w->path.size = before;
    return r == -ENOENT ? 0 : r; /* a folder that went away meanwhile */
}

int virtual_each_name(struct mount *m, fuse_ino_t folder,
                      int (*fn)(void *ctx, const char *name, uint64_t ino, bool is_folder),
                      void *ctx)
{
    if (folder == CHUNKS) {
        struct walk w = {.parcel = m->config.parcel, .fn = fn, .ctx = ctx};
        int r = parcel_each_name(w.parcel, FUSE_ROOT_ID, walk_name, &w);
        buffer_free(&w.path);
        return r;
    }
    int r = folder == FOLDER ? 0 : -ENOTDIR;
    for (size_t i = 0; r == 0 && i < sizeof in_folder / sizeof *in_folder; i++)
        r = fn(ctx, in_folder[i].name, in_folder[i].ino, in_folder[i].is_folder);
    return r;
}

static int make_text(struct mount *m, fuse_ino_t ino, struct buffer *out)
{
    switch (ino) {
    case STATUS:
        return virtual_text_status(m, out);
    case STATS:
        return virtual_text_stats(m, out);
    default:
        return ino > CHUNKS ? virtual_text_chunks(m, ino & ~CHUNKS_OF, out) : -EISDIR;
    }
}

int virtual_open(struct mount *m, fuse_ino_t ino, struct virtual_file **ret)
{
    struct virtual_file *file = calloc(1, sizeof *file);
    if (!file)
        return -ENOMEM;
    int r = make_text(m, ino, &file->text);
    if (r < 0)
        virtual_close(file);
    else
        *ret = file;
    return r;
}

size_t virtual_read(const struct virtual_file *file, void *out, size_t size, off_t offset)
{
    if (offset < 0 || (uint64_t)offset >= file->text.size)
        return 0;
    size_t left = file->text.size - (size_t)offset;
    size_t n = size < left ? size : left;
    memcpy(out, file->text.data + offset, n);
    return n;
}

void virtual_close(struct virtual_file *file)
{
    if (!file)
        return;
    buffer_free(&file->text);
    free(file);
}
