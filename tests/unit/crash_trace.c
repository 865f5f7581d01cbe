/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trace itself, and how one is made of a tree that is there. No state: who records guards it.
 */
#include "tests/unit/crash_trace_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "isrfs/base/cleanup.h"

void crash_trace_give_up(const char *what)
{
    fprintf(stderr, "crash_trace: %s: %s\n", what, strerror(errno));
    abort();
}

struct crash_op *crash_trace_add(struct crash_trace *t, enum crash_kind kind, unsigned node)
{
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 256;
        t->ops = reallocarray(t->ops, t->room, sizeof *t->ops);
        if (!t->ops)
            crash_trace_give_up("operations");
    }
    struct crash_op *op = &t->ops[t->count++];
    *op = (struct crash_op){.kind = kind, .node = node, .done = t->count};
    return op;
}

static unsigned add_node(struct crash_trace *t, const struct stat *st, unsigned folder,
                         const char *name)
{
    if (t->node_count == t->node_room) {
        t->node_room = t->node_room ? 2 * t->node_room : 64;
        t->nodes = reallocarray(t->nodes, t->node_room, sizeof *t->nodes);
        if (!t->nodes)
            crash_trace_give_up("nodes");
    }
    unsigned number = (unsigned)t->node_count++;
    struct crash_node *n = &t->nodes[number];
    *n = (struct crash_node){.is_folder = S_ISDIR(st->st_mode), .mode = st->st_mode & 07777};
    if (number > 0) /* the root has no name */
        snprintf(n->top, sizeof n->top, "%s", folder ? t->nodes[folder].top : name);
    return number;
}

static bool all_zero(const uint8_t *data, size_t size)
{
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

static void note_room(struct crash_trace *t, unsigned node, uint64_t end)
{
    if (t->nodes[node].room < end)
        t->nodes[node].room = end;
}

void crash_trace_add_write(struct crash_trace *t, unsigned node, const void *data, size_t size,
                           uint64_t offset)
{
    struct crash_op *op = crash_trace_add(t, CRASH_WRITE, node);
    op->offset = offset;
    op->size = size;
    if (!all_zero(data, size)) {
        op->data = malloc(size);
        if (!op->data)
            crash_trace_give_up("data");
        memcpy(op->data, data, size);
    }
    note_room(t, node, offset + size);
}

void crash_trace_add_size(struct crash_trace *t, enum crash_kind kind, unsigned node, uint64_t size)
{
    crash_trace_add(t, kind, node)->offset = size;
    note_room(t, node, size);
}

unsigned crash_trace_add_create(struct crash_trace *t, unsigned folder, const char *name,
                                const struct stat *st)
{
    unsigned node = add_node(t, st, folder, name);
    struct crash_op *op = crash_trace_add(t, CRASH_CREATE, node);
    op->folder = folder;
    op->name = strdup(name);
    return node;
}

static void read_data(struct crash_trace *t, unsigned node, int fd, uint64_t size)
{
    static uint8_t data[1 << 16];
    for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0;) {
        ssize_t n = pread(fd, data, sizeof data - (size_t)at % sizeof data, at);
        if (n <= 0)
            break;
        if (!all_zero(data, (size_t)n))
            crash_trace_add_write(t, node, data, (size_t)n, (uint64_t)at);
        at += n;
    }
    crash_trace_add_size(t, CRASH_RESIZE, node, size);
}

static void read_folder(struct crash_trace *t, unsigned folder, int dirfd, crash_trace_seen seen)
{
    int own = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    if (!dir)
        crash_trace_give_up("folder");
    for (const struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int fd = openat(dirfd, e->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
            crash_trace_give_up(e->d_name);
        unsigned node = crash_trace_add_create(t, folder, e->d_name, &st);
        if (seen)
            seen(&st, node);
        if (S_ISDIR(st.st_mode))
            read_folder(t, node, fd, seen);
        else
            read_data(t, node, fd, (uint64_t)st.st_size);
        close(fd);
    }
    closedir(dir);
}

struct crash_trace *crash_trace_read_tree(const char *path, crash_trace_seen seen)
{
    struct crash_trace *t = calloc(1, sizeof *t);
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!t || fd < 0 || fstat(fd, &st) < 0)
        crash_trace_give_up(path);
    unsigned root = add_node(t, &st, 0, "");
    if (seen)
        seen(&st, root);
    read_folder(t, root, fd, seen);
    close(fd);
    t->initial = t->count;
    return t;
}

struct crash_trace *crash_trace_read(const char *path)
{
    return crash_trace_read_tree(path, NULL);
}

void crash_trace_free(struct crash_trace *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++) {
        free(t->ops[i].name);
        free(t->ops[i].name2);
        free(t->ops[i].data);
    }
    free(t->ops);
    free(t->nodes);
    free(t);
}

void crash_trace_print(const struct crash_trace *t, size_t end)
{
    static const char *const kinds[] = {"create",   "rename", "unlink",    "write", "resize",
                                        "allocate", "flush",  "flush all", "mark"};
    for (size_t i = t->initial; i < end && i < t->count; i++) {
        const struct crash_op *op = &t->ops[i];
        printf("%5zu %-9s %s%u %s%s%s", i, kinds[op->kind],
               t->nodes[op->node].is_folder ? "folder " : "file ", op->node,
               op->name ? op->name : "", op->name2 ? " -> " : "", op->name2 ? op->name2 : "");
        if (op->kind == CRASH_WRITE)
            printf(" %zu bytes at %llu", op->size, (unsigned long long)op->offset);
        if (op->kind == CRASH_MARK)
            printf(" %ld", op->mark);
        printf("\n");
    }
}
