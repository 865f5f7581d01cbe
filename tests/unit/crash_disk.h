/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a disk may hold after a crash in the middle of a trace. What was flushed is there. Of what
 * was not,
 *
 *   - each 512 bytes of a file are as some of the writes to them left them, in their order: none,
 *     the first few, or all;
 *   - a file that was to grow has its old size, the new one (with zeros), or one between;
 *   - a name that was made, changed or removed is so or not, each for itself, in any order. A
 * rename is done wholly or not at all.
 *
 * Which of these states is built is chosen by a plan. */
#ifndef ISRFS_TESTS_CRASH_DISK_H
#define ISRFS_TESTS_CRASH_DISK_H

#include "tests/unit/crash_trace.h"

/* What is there of the operations that were not flushed. */
enum crash_choice {
    CRASH_KEEP_ALL, /* the process was killed, the disk goes on */
    CRASH_DROP_ALL,
    CRASH_NAMES,        /* names and sizes, no data: a file system that writes data late */
    CRASH_DATA,         /* the reverse */
    CRASH_LAST_MISSING, /* all but the last */
    CRASH_LAST_ONLY,
    CRASH_CUT,     /* in order, up to some operation, which is torn */
    CRASH_JOURNAL, /* names in order up to some operation, data as it comes */
    CRASH_SOME,    /* each or not */
    CRASH_BLOCKS,  /* each name or not, each 4 KiB of data or not */
    CRASH_SECTORS, /* likewise, 512 bytes */
    CRASH_CHOICES,
};
extern const char *const crash_choice_names[CRASH_CHOICES];

/* Flushes that count as not done: a fault that is planted in the program under test. */
enum crash_fault {
    CRASH_NO_FAULT,
    CRASH_NO_FSYNC, /* nor syncfs */
    CRASH_NO_FDATASYNC,
    CRASH_NO_FOLDER_FSYNC,
    CRASH_NO_SYNCFS,
};

struct crash_plan {
    size_t prefix; /* the crash is before this operation of the trace */
    enum crash_choice choice;
    enum crash_fault fault;
    size_t fault_from; /* the operation from which on it is there */
    const char *only;  /* only the machine whose files have this first part in their path crashes
                          (the others keep all); NULL: all */
    uint64_t seed;
};

struct crash_disk;

/* T must outlive the disk. */
struct crash_disk *crash_disk_new(const struct crash_trace *t, const struct crash_plan *plan);
void crash_disk_free(struct crash_disk *d);

/* The same for two disks of one trace only if they hold the same. */
uint64_t crash_disk_key(const struct crash_disk *d);
/* How many operations were not flushed. */
size_t crash_disk_pending(const struct crash_disk *d);

/* Makes the folder PATH anew, with what D holds. */
void crash_disk_write(const struct crash_disk *d, const char *path);
/* Likewise, with all that T has done. */
void crash_disk_restore(const struct crash_trace *t, const char *path);
/* Does PATH hold just what D holds? */
bool crash_disk_is(const struct crash_disk *d, const char *path);

/* A number from the environment. */
uint64_t crash_setting(const char *name, uint64_t fallback);

/* While QUIET nothing is shown on standard error. */
void crash_quiet(bool quiet);

#endif
