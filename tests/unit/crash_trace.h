/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A trace: everything that this process does to the files below one folder, in order, as the disk
 * is asked for it. A program that records is linked with CRASH_TRACE_WRAPS (tests/crash.mk): the
 * system calls that change a disk then come here first, from whatever file they are called. Nothing
 * is ever flushed for real (what is tested is what was asked for), so recording is quick.
 *
 * One trace is recorded at a time; any thread may write meanwhile. */
#ifndef ISRFS_TESTS_CRASH_TRACE_H
#define ISRFS_TESTS_CRASH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CRASH_TOP_SIZE 32

enum crash_kind {
    CRASH_CREATE,    /* NODE gets NAME in FOLDER: a file or folder that was not there */
    CRASH_RENAME,    /* NODE goes from NAME in FOLDER to NAME2 in FOLDER2 */
    CRASH_UNLINK,    /* NODE loses NAME in FOLDER */
    CRASH_WRITE,     /* SIZE bytes at OFFSET of NODE; DATA NULL: zeros */
    CRASH_RESIZE,    /* NODE has OFFSET bytes */
    CRASH_ALLOCATE,  /* NODE has at least OFFSET bytes */
    CRASH_FLUSH,     /* fsync or fdatasync of NODE: covers what was done before it */
    CRASH_FLUSH_ALL, /* syncfs of the machine that NODE is on */
    CRASH_MARK,      /* MARK, from crash_trace_mark */
};

struct crash_op {
    enum crash_kind kind;
    unsigned node, folder, folder2;
    char *name, *name2;
    uint64_t offset;
    size_t size;
    uint8_t *data;
    size_t done;    /* so many operations had begun when this one returned */
    bool data_only; /* fdatasync */
    long mark;
};

/* A file or folder that was there at some time. Number 0 is the folder that was recorded. */
struct crash_node {
    bool is_folder;
    mode_t mode;
    uint64_t room;            /* no operation goes beyond this many bytes */
    char top[CRASH_TOP_SIZE]; /* the first part of its first path: which "machine" it is on */
};

struct crash_trace {
    struct crash_op *ops;
    size_t count, room;
    size_t initial; /* so many operations make what was there at first: it is on the disk */
    struct crash_node *nodes;
    size_t node_count, node_room;
};

/* Records what happens below PATH until stop. What is there already becomes the first operations.
 * Failures end the program: it is a test. */
void crash_trace_start(const char *path);
struct crash_trace *crash_trace_stop(void);

/* The process is killed after COUNT more operations, as far as the disk can tell: from then on all
 * of them fail and none is done, until it is revived (and should begin anew by reading what is
 * there). Whatever it had not flushed is still only in the kernel's memory. */
void crash_trace_kill_after(long count);
bool crash_trace_is_killed(void);
void crash_trace_revive(void);

/* What is below PATH now, as the trace that made it. */
struct crash_trace *crash_trace_read(const char *path);
void crash_trace_free(struct crash_trace *t);

/* FAIL: the next fsync or fdatasync of a file fails, once, unless this is taken back before. As
 * some kernels do, what it should have brought to the disk counts as clean from then on: no later
 * flush covers it. */
void crash_trace_fail_flush(bool fail);

/* Shows the operations up to the number END, for people. */
void crash_trace_print(const struct crash_trace *t, size_t end);

/* Puts VALUE between the operations. Nothing happens while nothing is recorded. */
void crash_trace_mark(long value);

#endif
