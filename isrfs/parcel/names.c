/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tree of names. `p->names` guards it whole: every call here holds it for a short walk in
 * memory.
 *
 * A file is in the table by id as long as it has a name or a reference. An unlinked one is freed
 * with its last reference; the catalog does not know it any more. */
#include <string.h>

#include "isrfs/parcel/parcel_internal.h"

struct timespec file_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now;
}

struct file *file_find(struct parcel *p, uint64_t file_id)
{
    struct file *f;
    HASH_FIND(hh_id, p->files, &file_id, sizeof file_id, f);
    return f;
}

struct file *file_child(struct file *folder, const char *name)
{
    struct file *f;
    HASH_FIND(hh_name, folder->children, name, strlen(name), f);
    return f;
}

struct file *file_get(struct parcel *p, uint64_t file_id)
{
    LOCK_SCOPE(&p->names);
    struct file *f = file_find(p, file_id);
    if (f)
        f->references++;
    return f;
}

int file_get_regular(struct parcel *p, uint64_t file_id, struct file **ret)
{
    LOCK_SCOPE(&p->names);
    struct file *f = file_find(p, file_id);
    if (!f)
        return -ENOENT;
    if (f->is_folder)
        return -EISDIR;
    f->references++;
    *ret = f;
    return 0;
}

static void drop_references(struct parcel *p, struct file *f, uint64_t count)
{
    {
        LOCK_SCOPE(&p->names);
        f->references -= count < f->references ? count : f->references;
        if (f->references > 0 || !f->unlinked)
            return;
        HASH_DELETE(hh_id, p->files, f);
    }
    file_free(f);
}

void file_put(struct file *f)
{
    drop_references(f->parcel, file_owner(f), 1);
}

void parcel_forget(struct parcel *p, uint64_t file_id, uint64_t references)
{
    struct file *f;
    {
        LOCK_SCOPE(&p->names);
        f = file_find(p, file_id);
    }
    if (f)
        drop_references(p, f, references);
}

void file_free(struct file *f)
{
    if (!f)
        return;
    file_free(f->run);
    while (f->dirty)
        dirty_remove(f->dirty);
    spill_free(f->spill);
    if (f->attr_unlogged) {
        LOCK_SCOPE(&f->parcel->dirty_lock);
        DL_DELETE2(f->parcel->attr_list, f, attr_prev, attr_next);
    }
    holes_free(&f->holes);
    keyring_free(f->keyring);
    pthread_cond_destroy(&f->idle);
    pthread_mutex_destroy(&f->lock);
    free(f->name);
    free(f);
}

static int open_keyring(struct parcel *p, struct file *f, const struct catalog_entry *entry)
{
    struct keyring_config config = {
        .codec = p->config.codec,
        .store = p->config.store,
        .secret = p->config.log ? p->config.secret : NULL,
    };
    f->keyring = keyring_new(&config, entry->height, &entry->root);
    return f->keyring ? 0 : -errno;
}

static void attach(struct file *parent, struct file *f)
{
    f->parent = parent;
    HASH_ADD_KEYPTR(hh_name, parent->children, f->name, strlen(f->name), f);
}

static void detach(struct file *f)
{
    HASH_DELETE(hh_name, f->parent->children, f);
    f->parent = NULL;
}

void file_move(struct file *f, struct file *folder, char *name)
{
    detach(f);
    free(f->name);
    f->name = name;
    attach(folder, f);
}

int file_new(struct parcel *p, struct file *parent, const char *name,
             const struct catalog_entry *entry, struct file **ret)
{
    struct file *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->idle, NULL);
    f->parcel = p;
    f->file_id = entry->file_id;
    f->is_folder = entry->is_folder;
    f->is_volatile = entry->is_volatile;
    f->mode = entry->mode;
    f->mtime = f->ctime = entry->mtime;
    f->name = strdup(name);
    int r = f->name ? 0 : -ENOMEM;
    if (r == 0 && !f->is_folder) {
        f->size = entry->size;
        f->chunk_size = entry->chunk_size;
        r = open_keyring(p, f, entry);
    }
    if (r < 0) {
        file_free(f);
        return r;
    }
    HASH_ADD(hh_id, p->files, file_id, sizeof f->file_id, f);
    if (parent)
        attach(parent, f);
    *ret = f;
    return 0;
}

char *file_path_locked(struct file *f)
{
    size_t length = 0;
    for (const struct file *at = f; at->parent; at = at->parent)
        length += strlen(at->name) + 1;
    if (length == 0)
        return strdup(f->unlinked ? "(an unlinked file)" : "");
    char *path = malloc(length);
    if (!path)
        return NULL;
    char *end = path + length - 1;
    *end = '\0';
    for (const struct file *at = f; at->parent; at = at->parent) {
        size_t part = strlen(at->name);
        end -= part;
        memcpy(end, at->name, part);
        if (end > path)
            *--end = '/';
    }
    return path;
}

char *file_path(struct file *f)
{
    LOCK_SCOPE(&f->parcel->names);
    return file_path_locked(f);
}

void file_attr(struct file *f, struct parcel_attr *ret)
{
    struct file *t = file_top(f);
    {
        LOCK_SCOPE(&f->lock);
        *ret = (struct parcel_attr){
            .file_id = f->file_id,
            .is_folder = f->is_folder,
            .mode = f->mode,
            .links = f->unlinked    ? 0
                     : f->is_folder ? 2
                                    : 1,
            .chunk_size = f->chunk_size,
        };
    }
    LOCK_SCOPE(&t->lock);
    ret->size = t->size;
    ret->mtime = t->mtime;
    ret->ctime = t->ctime;
}

/* With p->names held: the folder with that id. */
static int find_folder(struct parcel *p, uint64_t folder, struct file **ret)
{
    struct file *f = file_find(p, folder);
    if (!f || f->unlinked)
        return -ENOENT;
    if (!f->is_folder)
        return -ENOTDIR;
    *ret = f;
    return 0;
}

int parcel_lookup(struct parcel *p, uint64_t folder, const char *name, struct parcel_attr *ret)
{
    LOCK_SCOPE(&p->names);
    struct file *parent;
    int r = find_folder(p, folder, &parent);
    if (r < 0)
        return r;
    struct file *f = file_child(parent, name);
    if (!f)
        return -ENOENT;
    f->references++;
    file_attr(f, ret);
    return 0;
}

static void changed(struct file *folder)
{
    atomic_fetch_add(&folder->parcel->changes, 1);
    LOCK_SCOPE(&folder->lock);
    folder->mtime = folder->ctime = file_now();
    file_attr_changed(folder);
}

static int note_unlink(const struct file *f)
{
    return ops_note(f->parcel, (struct op){.type = OP_UNLINK, .file_id = f->file_id});
}

/* NAME or CREATE. */
static int note_name(const struct file *f, enum op_type type, const struct file *folder,
                     const char *name)
{
    struct op op = {.type = type,
                    .file_id = f->file_id,
                    .folder = folder->file_id,
                    .name = strdup(name),
                    .is_folder = f->is_folder,
                    .is_volatile = f->is_volatile,
                    .chunk_size = f->chunk_size};
    return op.name ? ops_note(f->parcel, op) : -ENOMEM;
}

static size_t path_length(const struct file *f)
{
    size_t length = 0;
    for (; f->parent; f = f->parent)
        length += strlen(f->name) + 1;
    return length;
}

/* May NAME be made in PARENT? */
int file_check_new_name(const struct file *parent, const char *name)
{
    if (strlen(name) > CATALOG_NAME_MAX)
        return -ENAMETOOLONG;
    if (!catalog_name_valid(name))
        return -EILSEQ;
    if (!parent->parent && !parent->unlinked && strcmp(name, ".isrfs") == 0)
        return -EPERM;
    return path_length(parent) + strlen(name) > CATALOG_PATH_MAX ? -ENAMETOOLONG : 0;
}

static int make(struct parcel *p, uint64_t folder, const char *name, unsigned mode, bool is_folder,
                struct parcel_attr *ret)
{
    LOCK_SCOPE(&p->names);
    struct file *parent, *f;
    int r = find_folder(p, folder, &parent);
    r = r < 0 ? r : file_check_new_name(parent, name);
    if (r < 0)
        return r;
    if (file_child(parent, name))
        return -EEXIST;
    if (HASH_CNT(hh_id, p->files) > CATALOG_FILES_MAX)
        return -ENOSPC;
    struct catalog_entry entry = {
        .file_id = p->next_file_id,
        .is_folder = is_folder,
        .is_volatile = !is_folder && catalog_name_is_volatile(name),
        .mode = mode & 0777,
        .mtime = file_now(),
        .chunk_size = is_folder ? 0 : CHUNK_SIZE_DEFAULT,
    };
    r = file_new(p, parent, name, &entry, &f);
    if (r < 0)
        return r;
    p->next_file_id++;
    r = f->is_volatile ? volatile_attach(f) : 0;
    if (r < 0) {
        file_free(file_take_name(p, f));
        return r;
    }
    f->references = 1;
    r = note_name(f, OP_CREATE, parent, name);
    if (r < 0)
        return r;
    changed(parent);
    {
        LOCK_SCOPE(&f->lock);
        file_attr_changed(f);
    }
    file_attr(f, ret);
    return 0;
}

int parcel_create(struct parcel *p, uint64_t folder, const char *name, unsigned mode,
                  struct parcel_attr *ret)
{
    int r = parcel_gate_enter(p);
    if (r < 0)
        return r;
    r = make(p, folder, name, mode, false, ret);
    parcel_gate_leave(p);
    return r;
}

int parcel_mkdir(struct parcel *p, uint64_t folder, const char *name, unsigned mode,
                 struct parcel_attr *ret)
{
    int r = parcel_gate_enter(p);
    if (r < 0)
        return r;
    r = make(p, folder, name, mode, true, ret);
    parcel_gate_leave(p);
    return r;
}

/* Takes the name away. The file goes on living if it has references; else it is
 * the caller's to free, once the lock is gone. */
struct file *file_take_name(struct parcel *p, struct file *f)
{
    detach(f);
    f->unlinked = true;
    if (f->references > 0)
        return NULL;
    HASH_DELETE(hh_id, p->files, f);
    return f;
}

static int check_removable(const struct file *f, bool is_folder)
{
    if (!f)
        return -ENOENT;
    if (f->is_folder != is_folder)
        return is_folder ? -ENOTDIR : -EISDIR;
    return f->children ? -ENOTEMPTY : 0;
}

static int take_away(struct parcel *p, uint64_t folder, const char *name, bool is_folder,
                     struct file **ret_dead)
{
    LOCK_SCOPE(&p->names);
    struct file *parent;
    int r = find_folder(p, folder, &parent);
    if (r < 0)
        return r;
    struct file *f = file_child(parent, name);
    r = check_removable(f, is_folder);
    if (r < 0)
        return r;
    r = note_unlink(f);
    if (r < 0)
        return r;
    *ret_dead = file_take_name(p, f);
    changed(parent);
    return 0;
}

static int remove_name(struct parcel *p, uint64_t folder, const char *name, bool is_folder)
{
    int r = parcel_gate_enter(p);
    if (r < 0)
        return r;
    struct file *dead = NULL;
    r = take_away(p, folder, name, is_folder, &dead);
    file_free(dead);
    parcel_gate_leave(p);
    return r;
}

int parcel_unlink(struct parcel *p, uint64_t folder, const char *name)
{
    return remove_name(p, folder, name, false);
}

int parcel_rmdir(struct parcel *p, uint64_t folder, const char *name)
{
    return remove_name(p, folder, name, true);
}

static bool is_below(const struct file *f, const struct file *folder)
{
    for (; f; f = f->parent)
        if (f == folder)
            return true;
    return false;
}

/* With p->names held. */
static int rename_locked(struct parcel *p, struct file *from, struct file *target_folder,
                         const char *to, bool no_replace, struct file **ret_dead)
{
    struct file *there = file_child(target_folder, to);
    if (there == from)
        return no_replace ? -EEXIST : 0;
    if (there && no_replace)
        return -EEXIST;
    if (from->is_folder && is_below(target_folder, from))
        return -EINVAL;
    int r = there ? check_removable(there, from->is_folder) : 0;
    if (r < 0)
        return r;
    char *name = strdup(to);
    if (!name)
        return -ENOMEM;
    r = there ? note_unlink(there) : 0;
    r = r < 0 ? r : note_name(from, OP_NAME, target_folder, to);
    if (r < 0) {
        free(name);
        return r;
    }
    if (there)
        *ret_dead = file_take_name(p, there);
    changed(from->parent);
    file_move(from, target_folder, name);
    changed(target_folder);
    LOCK_SCOPE(&from->lock);
    from->ctime = file_now();
    return 0;
}

static int rename_names(struct parcel *p, uint64_t from_folder, const char *from,
                        uint64_t to_folder, const char *to, bool no_replace, struct file **ret_dead)
{
    LOCK_SCOPE(&p->names);
    struct file *source, *target;
    int r = find_folder(p, from_folder, &source);
    r = r < 0 ? r : find_folder(p, to_folder, &target);
    r = r < 0 ? r : file_check_new_name(target, to);
    if (r < 0)
        return r;
    struct file *f = file_child(source, from);
    return f ? rename_locked(p, f, target, to, no_replace, ret_dead) : -ENOENT;
}

int parcel_rename(struct parcel *p, uint64_t from_folder, const char *from, uint64_t to_folder,
                  const char *to, bool no_replace)
{
    int r = parcel_gate_enter(p);
    if (r < 0)
        return r;
    struct file *dead = NULL;
    r = rename_names(p, from_folder, from, to_folder, to, no_replace, &dead);
    file_free(dead);
    parcel_gate_leave(p);
    return r;
}
