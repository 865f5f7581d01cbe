/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Adding to a trace, for who records one. */
#ifndef ISRFS_TESTS_CRASH_TRACE_INTERNAL_H
#define ISRFS_TESTS_CRASH_TRACE_INTERNAL_H

#include <sys/stat.h>

#include "tests/unit/crash_trace.h"

/* Ends the program, with what errno says. */
void crash_trace_give_up(const char *what) __attribute__((noreturn));

struct crash_op *crash_trace_add(struct crash_trace *t, enum crash_kind kind, unsigned node);
void crash_trace_add_write(struct crash_trace *t, unsigned node, const void *data, size_t size,
                           uint64_t offset);
/* CRASH_RESIZE or CRASH_ALLOCATE. */
void crash_trace_add_size(struct crash_trace *t, enum crash_kind kind, unsigned node,
                          uint64_t size);
/* The number of the new node. */
unsigned crash_trace_add_create(struct crash_trace *t, unsigned folder, const char *name,
                                const struct stat *st);

/* As crash_trace_read, which also tells SEEN (unless NULL) the number of each file and folder. */
typedef void (*crash_trace_seen)(const struct stat *st, unsigned node);
struct crash_trace *crash_trace_read_tree(const char *path, crash_trace_seen seen);

#endif
