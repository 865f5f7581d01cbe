/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Looking at files: attributes, paths, the listing of folders. A listing is a copy, made under the
 * lock in one go, so that whoever goes through it sees each name once however the folder changes.
 */
#include <string.h>

#include "isrfs/parcel/parcel_internal.h"

int parcel_getattr(struct parcel *p, uint64_t file_id, struct parcel_attr *ret)
{
    LOCK_SCOPE(&p->names);
    struct file *f = file_find(p, file_id);
    if (!f)
        return -ENOENT;
    file_attr(f, ret);
    return 0;
}

int parcel_find(struct parcel *p, const char *path, struct parcel_attr *ret)
{
    LOCK_SCOPE(&p->names);
    struct file *at = p->root;
    CLEANUP_FREE char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    char *rest = NULL;
    for (char *part = strtok_r(copy, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
        if (!at->is_folder)
            return -ENOTDIR;
        at = file_child(at, part);
        if (!at)
            return -ENOENT;
    }
    file_attr(at, ret);
    return 0;
}

int parcel_parent(struct parcel *p, uint64_t file_id, uint64_t *ret)
{
    LOCK_SCOPE(&p->names);
    const struct file *f = file_find(p, file_id);
    if (!f)
        return -ENOENT;
    *ret = f->parent ? f->parent->file_id : CATALOG_ROOT;
    return 0;
}

static int change_attr(struct parcel *p, uint64_t file_id, const unsigned *mode,
                       const struct timespec *mtime)
{
    int r = parcel_gate_enter(p);
    if (r < 0)
        return r;
    struct file *f = file_get(p, file_id);
    if (f) {
        if (mode) {
            LOCK_SCOPE(&f->lock);
            f->mode = *mode & 0777;
            file_attr_changed(f);
        }
        {
            struct file *t = file_top(f);
            LOCK_SCOPE(&t->lock);
            if (mtime)
                t->mtime = *mtime;
            t->ctime = file_now();
            file_attr_changed(t);
        }
        atomic_fetch_add(&p->changes, 1);
        file_put(f);
    }
    parcel_gate_leave(p);
    return f ? 0 : -ENOENT;
}

int parcel_chmod(struct parcel *p, uint64_t file_id, unsigned mode)
{
    return change_attr(p, file_id, &mode, NULL);
}

int parcel_set_mtime(struct parcel *p, uint64_t file_id, struct timespec mtime)
{
    return change_attr(p, file_id, NULL, &mtime);
}

struct listed {
    char *name;
    struct parcel_attr attr;
};

static int by_name(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int snapshot(struct parcel *p, uint64_t folder, struct listed **ret, size_t *ret_count)
{
    LOCK_SCOPE(&p->names);
    struct file *parent = file_find(p, folder);
    if (!parent || !parent->is_folder)
        return parent ? -ENOTDIR : -ENOENT;
    struct listed *all = calloc(HASH_CNT(hh_name, parent->children) + 1, sizeof *all);
    if (!all)
        return -ENOMEM;
    size_t count = 0;
    for (struct file *f = parent->children; f; f = f->hh_name.next) {
        all[count].name = strdup(f->name);
        if (!all[count].name)
            break;
        file_attr(f, &all[count].attr);
        count++;
    }
    *ret = all;
    *ret_count = count;
    return count == HASH_CNT(hh_name, parent->children) ? 0 : -ENOMEM;
}

int parcel_each_name(struct parcel *p, uint64_t folder,
                     int (*fn)(void *ctx, const char *name, const struct parcel_attr *attr),
                     void *ctx)
{
    struct listed *all = NULL;
    size_t count = 0;
    int r = snapshot(p, folder, &all, &count);
    if (r == 0)
        qsort(all, count, sizeof *all, by_name);
    for (size_t i = 0; i < count; i++) {
        if (r == 0)
            r = fn(ctx, all[i].name, &all[i].attr);
        free(all[i].name);
    }
    free(all);
    return r;
}
