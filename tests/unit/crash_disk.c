/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trace is gone through twice: once to see what was flushed when, once to do again what was
 * flushed or is chosen. A file is an image in memory, of which the pages that were written are
 * known; an image is only reserved, so that a segment of 64 MiB costs what is in it.
 *
 * A sector for which a write was dropped takes no later one: it is `stopped`. That is what a page
 * cache does, which knows the newest bytes of a page only: a later write reaches the disk together
 * with all before it. */
#include "tests/unit/crash_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/io.h"
#include "tests/random.h"

#define SECTOR 512u
#define BLOCK  4096u

const char *const crash_choice_names[CRASH_CHOICES] = {
    [CRASH_KEEP_ALL] = "all of it",
    [CRASH_DROP_ALL] = "none of it",
    [CRASH_NAMES] = "names but no data",
    [CRASH_DATA] = "data but no names",
    [CRASH_LAST_MISSING] = "all but the last operation",
    [CRASH_LAST_ONLY] = "the last operation only",
    [CRASH_CUT] = "the first operations",
    [CRASH_JOURNAL] = "the first names, some data",
    [CRASH_SOME] = "some operations",
    [CRASH_BLOCKS] = "some blocks",
    [CRASH_SECTORS] = "some sectors",
};

struct image {
    uint8_t *bytes;      /* room for all that the trace writes */
    uint8_t *touched;    /* one for each block: is anything there? */
    uint8_t *stopped;    /* one for each sector; NULL: none */
    uint64_t size, full; /* now, and if nothing had been lost */
};

struct entry {
    unsigned folder, node;
    const char *name;
};

struct crash_disk {
    const struct crash_trace *trace;
    struct image *images;  /* one for each node */
    size_t *flushed;       /* one for each node: after this many operations */
    size_t *all_flushed;   /* likewise, with all that is on its machine */
    struct entry *entries; /* all names */
    size_t entry_count;
    size_t pending, cut; /* operations that were not flushed; for CRASH_CUT and CRASH_JOURNAL */
    uint64_t key, random;
    struct crash_plan plan;
};

static void *must(void *p)
{
    if (p)
        return p;
    fprintf(stderr, "crash_disk: %s\n", strerror(errno));
    abort();
}

static bool coin(struct crash_disk *d)
{
    return test_random(&d->random) >> 63;
}

/* --- what was flushed --- */

static bool is_name(const struct crash_op *op)
{
    return op->kind <= CRASH_UNLINK;
}

static bool is_change(const struct crash_op *op)
{
    return op->kind <= CRASH_ALLOCATE;
}

static bool is_left_out(const struct crash_disk *d, const struct crash_op *op)
{
    bool folder = d->trace->nodes[op->node].is_folder;
    if (op->kind == CRASH_FLUSH_ALL)
        return d->plan.fault == CRASH_NO_FSYNC || d->plan.fault == CRASH_NO_SYNCFS;
    switch (d->plan.fault) {
    case CRASH_NO_FSYNC:
        return !folder && !op->data_only;
    case CRASH_NO_FDATASYNC:
        return !folder && op->data_only;
    case CRASH_NO_FOLDER_FSYNC:
        return folder;
    default:
        return false;
    }
}

static void flush_machine(struct crash_disk *d, const struct crash_op *op, size_t i)
{
    const struct crash_node *nodes = d->trace->nodes;
    for (size_t n = 0; n < d->trace->node_count; n++)
        if (strcmp(nodes[n].top, nodes[op->node].top) == 0)
            d->all_flushed[n] = i;
}

static void find_flushes(struct crash_disk *d)
{
    for (size_t i = 0; i < d->plan.prefix; i++) {
        const struct crash_op *op = &d->trace->ops[i];
        if (i >= d->plan.fault_from && is_left_out(d, op))
            continue;
        if (op->kind == CRASH_FLUSH)
            d->flushed[op->node] = i;
        else if (op->kind == CRASH_FLUSH_ALL)
            flush_machine(d, op, i);
    }
}

static bool is_durable(const struct crash_disk *d, size_t i)
{
    const struct crash_trace *t = d->trace;
    const struct crash_op *op = &t->ops[i];
    if (i < t->initial || op->done <= d->all_flushed[op->node])
        return true;
    if (d->plan.only && strcmp(t->nodes[op->node].top, d->plan.only) != 0)
        return true;
    if (!is_name(op))
        return op->done <= d->flushed[op->node];
    return op->done <= d->flushed[op->folder] &&
           (op->kind != CRASH_RENAME || op->done <= d->flushed[op->folder2]);
}

/* --- doing it again --- */

static void mix(struct crash_disk *d, uint64_t value)
{
    d->key = (d->key ^ value) * 1099511628211u;
    d->key ^= d->key >> 29;
}

static struct image *image_of(struct crash_disk *d, unsigned node)
{
    struct image *m = &d->images[node];
    uint64_t room = d->trace->nodes[node].room;
    if (m->bytes || room == 0)
        return m;
    m->bytes = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
    must(m->bytes == MAP_FAILED ? NULL : m->bytes);
    m->touched = must(calloc(room / BLOCK + 1, 1));
    return m;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Bytes FROM to END - 1 of the operation's. */
static void put_bytes(struct image *m, const struct crash_op *op, uint64_t from, uint64_t end)
{
    for (uint64_t at = from, next; at < end; at = next) {
        next = smaller(end, (at / BLOCK + 1) * BLOCK);
        if (op->data)
            memcpy(m->bytes + at, op->data + (at - op->offset), next - at);
        else if (m->touched[at / BLOCK])
            memset(m->bytes + at, 0, next - at);
        m->touched[at / BLOCK] |= op->data != NULL;
    }
    if (m->size < end)
        m->size = end;
}

static void resize(struct image *m, uint64_t size)
{
    for (uint64_t at = size, next; at < m->size; at = next) {
        next = smaller(m->size, (at / BLOCK + 1) * BLOCK);
        if (m->touched[at / BLOCK])
            memset(m->bytes + at, 0, next - at);
    }
    m->size = size;
}

/* A write of which each piece of UNIT bytes (0: the whole) is done if KEEP says so. */
static void do_write(struct crash_disk *d, const struct crash_op *op, uint64_t unit, bool keep)
{
    struct image *m = image_of(d, op->node);
    uint64_t end = op->offset + op->size;
    bool now = keep;
    for (uint64_t at = op->offset, next; at < end; at = next) {
        next = smaller(end, (at / SECTOR + 1) * SECTOR);
        if (unit && (at == op->offset || at % unit == 0))
            now = coin(d);
        bool stopped = m->stopped && m->stopped[at / SECTOR];
        if (now && !stopped) {
            mix(d, at);
            put_bytes(m, op, at, next);
        } else if (!stopped) {
            if (!m->stopped)
                m->stopped = must(calloc(d->trace->nodes[op->node].room / SECTOR + 1, 1));
            m->stopped[at / SECTOR] = 1;
        }
    }
}

static void drop_name(struct crash_disk *d, unsigned folder, const char *name, unsigned node)
{
    for (size_t i = 0; i < d->entry_count; i++) {
        struct entry *e = &d->entries[i];
        if (e->folder == folder && e->node == node && strcmp(e->name, name) == 0) {
            *e = d->entries[--d->entry_count];
            return;
        }
    }
}

static void set_name(struct crash_disk *d, unsigned folder, const char *name, unsigned node)
{
    for (size_t i = 0; i < d->entry_count; i++) {
        struct entry *e = &d->entries[i];
        if (e->folder == folder && strcmp(e->name, name) == 0) {
            e->node = node;
            return;
        }
    }
    d->entries[d->entry_count++] = (struct entry){folder, node, name};
}

static void do_name(struct crash_disk *d, const struct crash_op *op)
{
    if (op->kind != CRASH_CREATE)
        drop_name(d, op->folder, op->name, op->node);
    if (op->kind == CRASH_CREATE)
        set_name(d, op->folder, op->name, op->node);
    else if (op->kind == CRASH_RENAME)
        set_name(d, op->folder2, op->name2, op->node);
}

static void do_data(struct crash_disk *d, const struct crash_op *op, uint64_t unit, bool keep)
{
    struct image *m = image_of(d, op->node);
    if (op->kind == CRASH_WRITE) {
        if (m->full < op->offset + op->size)
            m->full = op->offset + op->size;
        do_write(d, op, unit, keep);
        return;
    }
    bool grows = m->size < op->offset;
    if (op->kind == CRASH_RESIZE || m->full < op->offset)
        m->full = op->offset;
    if (keep && (grows || op->kind == CRASH_RESIZE))
        resize(m, op->offset);
}

/* Is the operation, the number P of those that were not flushed, done? *RET_UNIT: in pieces. */
static bool choose(struct crash_disk *d, const struct crash_op *op, size_t p, uint64_t *ret_unit)
{
    *ret_unit = 0;
    switch (d->plan.choice) {
    case CRASH_KEEP_ALL:
        return true;
    case CRASH_DROP_ALL:
        return false;
    case CRASH_NAMES:
        return is_name(op);
    case CRASH_DATA:
        return !is_name(op);
    case CRASH_LAST_MISSING:
        return p + 1 != d->pending;
    case CRASH_LAST_ONLY:
        return p + 1 == d->pending;
    case CRASH_CUT:
        *ret_unit = p == d->cut ? SECTOR : 0;
        return p < d->cut;
    case CRASH_JOURNAL:
        *ret_unit = SECTOR;
        return is_name(op) ? p < d->cut : coin(d);
    case CRASH_BLOCKS:
        *ret_unit = BLOCK;
        return coin(d);
    case CRASH_SECTORS:
        *ret_unit = SECTOR;
        return coin(d);
    default:
        return coin(d);
    }
}

static void do_all(struct crash_disk *d)
{
    size_t p = 0;
    for (size_t i = 0; i < d->plan.prefix; i++) {
        const struct crash_op *op = &d->trace->ops[i];
        if (!is_change(op))
            continue;
        uint64_t unit = 0;
        bool keep = is_durable(d, i) || choose(d, op, p++, &unit);
        if (keep || (unit && !is_name(op)))
            mix(d, i);
        if (!is_name(op))
            do_data(d, op, unit, keep);
        else if (keep)
            do_name(d, op);
    }
}

/* File systems differ in when a new size is on the disk. */
static void choose_sizes(struct crash_disk *d)
{
    bool late = d->plan.choice == CRASH_KEEP_ALL || d->plan.choice == CRASH_DROP_ALL;
    for (size_t i = 0; i < d->trace->node_count; i++) {
        struct image *m = &d->images[i];
        if (m->size < m->full && !late && coin(d)) {
            m->size = m->full;
            mix(d, i);
            mix(d, m->full);
        }
    }
}

struct crash_disk *crash_disk_new(const struct crash_trace *t, const struct crash_plan *plan)
{
    struct crash_disk *d = must(calloc(1, sizeof *d));
    d->trace = t;
    d->plan = *plan;
    d->random = plan->seed;
    d->key = 14695981039346656037u;
    d->images = must(calloc(t->node_count, sizeof *d->images));
    d->flushed = must(calloc(t->node_count, sizeof *d->flushed));
    d->all_flushed = must(calloc(t->node_count, sizeof *d->all_flushed));
    d->entries = must(calloc(t->count + 1, sizeof *d->entries));
    find_flushes(d);
    for (size_t i = 0; i < plan->prefix; i++)
        d->pending += is_change(&t->ops[i]) && !is_durable(d, i);
    d->cut = d->pending ? test_random(&d->random) % d->pending : 0;
    do_all(d);
    choose_sizes(d);
    return d;
}

void crash_disk_free(struct crash_disk *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->trace->node_count; i++) {
        struct image *m = &d->images[i];
        if (m->bytes)
            munmap(m->bytes, d->trace->nodes[i].room);
        free(m->touched);
        free(m->stopped);
    }
    free(d->images);
    free(d->flushed);
    free(d->all_flushed);
    free(d->entries);
    free(d);
}

uint64_t crash_disk_key(const struct crash_disk *d)
{
    return d->key;
}

size_t crash_disk_pending(const struct crash_disk *d)
{
    return d->pending;
}

/* --- onto a real disk --- */

static int write_file(const struct image *m, int fd)
{
    int r = 0;
    for (uint64_t at = 0, next; at < m->size && r == 0; at = next) {
        next = smaller(m->size, (at / BLOCK + 1) * BLOCK);
        if (m->touched[at / BLOCK])
            r = io_pwrite(fd, m->bytes + at, next - at, (off_t)at);
    }
    return r < 0 ? r : io_ftruncate(fd, (off_t)m->size);
}

static int write_folder(const struct crash_disk *d, unsigned folder, int dirfd)
{
    for (size_t i = 0; i < d->entry_count; i++) {
        const struct entry *e = &d->entries[i];
        if (e->folder != folder)
            continue;
        const struct crash_node *n = &d->trace->nodes[e->node];
        int r = n->is_folder ? io_mkdir(dirfd, e->name, n->mode) : 0;
        CLEANUP_CLOSE int fd = n->is_folder
                                   ? openat(dirfd, e->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                   : io_create(dirfd, e->name, 0, n->mode);
        if (r == 0 && fd < 0)
            r = -errno;
        if (r == 0)
            r = n->is_folder ? write_folder(d, e->node, fd) : write_file(&d->images[e->node], fd);
        if (r < 0)
            return r;
    }
    return 0;
}

void crash_disk_write(const struct crash_disk *d, const char *path)
{
    int r = io_remove_tree(AT_FDCWD, path);
    r = r < 0 && r != -ENOENT ? r : io_mkdir(AT_FDCWD, path, 0700);
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = r < 0 ? r : fd < 0 ? -errno : write_folder(d, 0, fd);
    if (r == 0)
        return;
    fprintf(stderr, "crash_disk: %s: %s\n", path, strerror(-r));
    abort();
}

void crash_disk_restore(const struct crash_trace *t, const char *path)
{
    struct crash_plan plan = {.prefix = t->count, .choice = CRASH_KEEP_ALL, .seed = 1};
    struct crash_disk *d = crash_disk_new(t, &plan);
    crash_disk_write(d, path);
    crash_disk_free(d);
}

static bool file_is(const struct image *m, int fd)
{
    uint8_t block[BLOCK];
    static const uint8_t zeros[BLOCK];
    struct stat st;
    if (fstat(fd, &st) < 0 || (uint64_t)st.st_size != m->size)
        return false;
    for (uint64_t at = 0; at < m->size; at += BLOCK) {
        ssize_t n = io_pread(fd, block, sizeof block, (off_t)at);
        const uint8_t *wanted = m->touched[at / BLOCK] ? m->bytes + at : zeros;
        if (n < 0 || (uint64_t)n != smaller(BLOCK, m->size - at) ||
            memcmp(block, wanted, (size_t)n) != 0)
            return false;
    }
    return true;
}

static int count_name(void *ctx, const char *name)
{
    (void)name;
    ++*(size_t *)ctx;
    return 0;
}

static bool folder_is(const struct crash_disk *d, unsigned folder, int dirfd)
{
    size_t there = 0, wanted = 0;
    for (size_t i = 0; i < d->entry_count; i++) {
        const struct entry *e = &d->entries[i];
        if (e->folder != folder)
            continue;
        wanted++;
        CLEANUP_CLOSE int fd = openat(dirfd, e->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || !(d->trace->nodes[e->node].is_folder ? folder_is(d, e->node, fd)
                                                           : file_is(&d->images[e->node], fd)))
            return false;
    }
    return io_each_name(dirfd, ".", count_name, &there) == 0 && there == wanted;
}

bool crash_disk_is(const struct crash_disk *d, const char *path)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && folder_is(d, 0, fd);
}

void crash_quiet(bool quiet)
{
    static int kept = -1;
    if (quiet && kept < 0) {
        CLEANUP_CLOSE int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        kept = dup(STDERR_FILENO);
        dup2(null, STDERR_FILENO);
    } else if (!quiet && kept >= 0) {
        dup2(kept, STDERR_FILENO);
        close(steal_fd(&kept));
    }
}

uint64_t crash_setting(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : fallback;
}
