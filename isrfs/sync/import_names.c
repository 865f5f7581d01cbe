/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hook looks for the disk under one name, so the first disk image gets it. Images in a format of
 * their own and devices are surely disks; a plain file is taken for one by its name, but for what a
 * kernel's helpers are usually called. */
#include "isrfs/sync/import_names.h"

#include <fnmatch.h>
#include <string.h>

#include "isrfs/base/log.h"

static bool matches(const char *name, const char *const *patterns)
{
    for (; *patterns; patterns++)
        if (fnmatch(*patterns, name, FNM_CASEFOLD) == 0)
            return true;
    return false;
}

bool import_names_keep(const char *name)
{
    static const char *const images[] = {"*.qcow2", "*.vmdk", "*.vdi", "*.vhd",
                                         "*.vhdx",  "*.qed",  NULL};
    return name && matches(name, images);
}

static const char *own_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_disk(const struct import_file *file, struct import_source *source)
{
    static const char *const disks[] = {"*.img", "*.raw", "*.dd", NULL};
    static const char *const others[] = {"initrd*", "initramfs*", NULL};
    const struct import_source_info *info = import_source_info(source);
    const char *name = own_name(file->path);
    return info->format != IMPORT_PLAIN || info->is_device ||
           (matches(name, disks) && !matches(name, others));
}

/* The index of the file that is to be called disk.img, or COUNT. */
static size_t find_disk(const struct import_file *files, struct import_source *const *sources,
                        size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(files[i].name ? files[i].name : own_name(files[i].path), IMPORT_DISK_NAME) == 0)
            return count;
    for (size_t i = 0; i < count; i++)
        if (!files[i].name && is_disk(&files[i], sources[i]))
            return i;
    return count;
}

static int check_name(const char *name, struct failure *failure)
{
    char clean[256];
    log_clean(clean, sizeof clean, name);
    CLEANUP_FREE char *copy = strdup(name);
    if (!copy)
        return failure_set(failure, OUTCOME_FAILED, "out of memory");
    bool good = strlen(name) <= CATALOG_PATH_MAX;
    for (char *part = copy; good && part;) {
        char *slash = strchr(part, '/');
        if (slash)
            *slash++ = '\0';
        good = catalog_name_valid(part);
        part = slash;
    }
    if (!good)
        return failure_set(failure, OUTCOME_USAGE, "'%s' cannot be the name of a file in a parcel",
                           clean);
    if (strcmp(copy, ".isrfs") == 0)
        return failure_set(failure, OUTCOME_USAGE, "'%s': .isrfs is isrfs's own", clean);
    return 0;
}

/* The same, or one would have to be a folder that holds the other. */
static bool clash(const char *a, const char *b)
{
    size_t length = strlen(a);
    return strncmp(a, b, length) == 0 && (b[length] == '\0' || b[length] == '/');
}

int import_names_choose(const struct import_file *files, struct import_source *const *sources,
                        size_t count, char **ret_names, struct failure *failure)
{
    size_t disk = find_disk(files, sources, count);
    for (size_t i = 0; i < count; i++) {
        const char *name = i == disk       ? IMPORT_DISK_NAME
                           : files[i].name ? files[i].name
                                           : own_name(files[i].path);
        int r = check_name(name, failure);
        if (r < 0)
            return r;
        ret_names[i] = strdup(name);
        if (!ret_names[i])
            return failure_set(failure, OUTCOME_FAILED, "out of memory");
        for (size_t j = 0; j < i; j++)
            if (clash(name, ret_names[j]) || clash(ret_names[j], name)) {
                char clean[256];
                return failure_set(failure, OUTCOME_USAGE,
                                   "two files cannot both be '%s' in the parcel: say NAME=FILE",
                                   log_clean(clean, sizeof clean, name));
            }
    }
    return 0;
}
