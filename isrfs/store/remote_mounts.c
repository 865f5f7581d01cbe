/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The path is followed as the kernel does it, but in the list of mounts: from mount to mount, each
 * of which lies on a path of its parent mount (so that one hidden by a later mount above it is not
 * met). The file system itself is asked only for symlinks, and only where it is local; the first
 * part that is not ends the search. */
#include "isrfs/store/remote_mounts.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/store/remote.h"

#define MOUNTS_MAX 65536u
#define LINKS_MAX  40u

struct mount {
    int id, parent;
    bool local;
    char *path;
};

struct mounts {
    struct mount *list;
    size_t count, room;
};

static void mounts_clear(struct mounts *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->list[i].path);
    m->count = 0;
}

static void mounts_free(struct mounts *m)
{
    mounts_clear(m);
    free(m->list);
}

/* Spaces and the like are written \ooo there. */
static void unescape(char *text)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        unsigned value = 0;
        int digits = 0;
        while (*in == '\\' && digits < 3 && in[digits + 1] >= '0' && in[digits + 1] <= '7')
            value = value * 8 + (unsigned)(in[++digits] - '0');
        *out++ = digits == 3 ? (char)value : *in;
        in += digits == 3 ? 3 : 0;
    }
    *out = '\0';
}

static bool type_is_local(const char *type)
{
    static const char *const local[] = {"ext2",  "ext3", "ext4",  "xfs",
                                        "btrfs", "f2fs", "tmpfs", "overlay"};
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
        if (strcmp(type, local[i]) == 0)
            return true;
    return false;
}

/* ID PARENT DEVICE ROOT PATH OPTIONS [MORE...] - TYPE SOURCE OPTIONS */
static bool parse(char *line, struct mount *ret)
{
    char *rest = strstr(line, " - ");
    char *path = NULL, *type = NULL;
    if (!rest || sscanf(line, "%d %d %*s %*s %ms", &ret->id, &ret->parent, &path) != 3 ||
        sscanf(rest + 3, "%ms", &type) != 1) {
        free(path);
        return false;
    }
    unescape(path);
    ret->path = path;
    ret->local = type_is_local(type);
    free(type);
    return true;
}

static bool read_list(FILE *in, struct mounts *m)
{
    CLEANUP_FREE char *line = NULL;
    size_t line_room = 0;
    while (getline(&line, &line_room, in) > 0) {
        if (m->count == m->room) {
            size_t room = m->room ? m->room * 2 : 64;
            struct mount *list = room > MOUNTS_MAX ? NULL : realloc(m->list, room * sizeof *list);
            if (!list)
                return false;
            m->list = list;
            m->room = room;
        }
        if (!parse(line, &m->list[m->count]))
            return false;
        m->count++;
    }
    return !ferror(in) && m->count > 0;
}

/* The mount that lies on PATH of the mount PARENT; those stacked on the same path have each other
 * for parent. */
static const struct mount *step_onto(const struct mounts *m, const struct mount *parent,
                                     const char *path, size_t length)
{
    const struct mount *at = parent;
    for (size_t i = 0; i < m->count; i++) {
        const struct mount *next = &m->list[i];
        if (next->parent != at->id || next == at || strlen(next->path) != length ||
            memcmp(next->path, path, length) != 0)
            continue;
        at = next;
        i = (size_t)-1;
    }
    return at;
}

static const struct mount *find_root(const struct mounts *m)
{
    for (size_t i = 0; i < m->count; i++) {
        bool has_parent = false;
        for (size_t j = 0; j < m->count && !has_parent; j++)
            has_parent = j != i && m->list[j].id == m->list[i].parent;
        if (!has_parent && strcmp(m->list[i].path, "/") == 0)
            return step_onto(m, &m->list[i], "/", 1);
    }
    return NULL;
}

/* Is what PATH (absolute, no symlinks, "" for the root) names on a local file system? */
static bool is_local(const struct mounts *m, const char *path)
{
    const struct mount *at = find_root(m);
    for (const char *end = path; at && *end;) {
        end = strchrnul(end + 1, '/');
        at = step_onto(m, at, path, (size_t)(end - path));
    }
    return at && at->local;
}

/* A path on its way from what is still to be followed to what has been. */
struct walk {
    const struct mounts *mounts;
    char done[PATH_MAX], todo[PATH_MAX];
    unsigned links;
    bool foreign; /* it has left the local file systems: nothing is asked any more */
};

/* Puts the first part of TODO at the end of DONE, and follows it if it is a symlink. */
static int advance(struct walk *w)
{
    char rest[PATH_MAX], part[PATH_MAX], target[PATH_MAX];
    size_t skip = strspn(w->todo, "/"), length = strcspn(w->todo + skip, "/");
    size_t have = strlen(w->done);
    memcpy(part, w->todo + skip, length);
    part[length] = '\0';
    strcpy(rest, w->todo + skip + length);
    strcpy(w->todo, rest);
    if (length == 0 || strcmp(part, ".") == 0)
        return 0;
    if (strcmp(part, "..") == 0) {
        char *last = strrchr(w->done, '/');
        if (last)
            *last = '\0';
        return 0;
    }
    if (have + 1 + length >= PATH_MAX)
        return -ENAMETOOLONG;
    w->done[have] = '/';
    strcpy(w->done + have + 1, part);
    w->foreign |= !is_local(w->mounts, w->done);
    ssize_t n = w->foreign ? -1 : readlink(w->done, target, sizeof target - 1);
    if (n < 0)
        return 0;
    if (++w->links > LINKS_MAX || (size_t)n + strlen(rest) + 1 >= PATH_MAX)
        return w->links > LINKS_MAX ? -ELOOP : -ENAMETOOLONG;
    target[n] = '\0';
    w->done[target[0] == '/' ? 0 : have] = '\0';
    memcpy(w->todo, target, (size_t)n);
    strcpy(w->todo + n, rest);
    return 0;
}

/* Follows PATH; no further than where it leaves the local file systems, unless TO_THE_END. */
static int follow(struct walk *w, const char *path, bool to_the_end)
{
    if (path[0] != '/' || strlen(path) >= sizeof w->todo)
        return path[0] != '/' ? -EINVAL : -ENAMETOOLONG;
    strcpy(w->todo, path);
    w->foreign = !is_local(w->mounts, "");
    int r = 0;
    while (r == 0 && *w->todo && (to_the_end || !w->foreign))
        r = advance(w);
    return r;
}

bool remote_mounts_need(FILE *in, const char *path)
{
    CLEANUP(mounts_free) struct mounts m = {0};
    struct walk w = {.mounts = &m};
    return !read_list(in, &m) || follow(&w, path, false) < 0 || w.foreign;
}

bool remote_is_needed(const char *path)
{
    CLEANUP_FCLOSE FILE *in = fopen("/proc/self/mountinfo", "re");
    return !in || remote_mounts_need(in, path);
}

int remote_mounts_resolve(FILE *in, const char *path, char **ret)
{
    CLEANUP(mounts_free) struct mounts m = {0};
    struct walk w = {.mounts = &m};
    if (!in || !read_list(in, &m))
        mounts_clear(&m); /* nothing is known to be local */
    int r = follow(&w, path, true);
    if (r < 0)
        return r;
    *ret = strdup(w.done[0] ? w.done : "/");
    return *ret ? 0 : -ENOMEM;
}

int remote_resolve(const char *path, char **ret)
{
    CLEANUP_FCLOSE FILE *in = fopen("/proc/self/mountinfo", "re");
    return remote_mounts_resolve(in, path, ret);
}
