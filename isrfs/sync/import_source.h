/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What `isr import` reads: a plain file or block device as it is, or the disk inside a qcow2, vmdk
 * or vdi image. Private to this folder. One thread opens and closes; any number may read. */
#ifndef ISRFS_SYNC_IMPORT_SOURCE_H
#define ISRFS_SYNC_IMPORT_SOURCE_H

#include <time.h>

#include "isrfs/sync/import.h"

enum import_format { IMPORT_PLAIN, IMPORT_QCOW2, IMPORT_VMDK, IMPORT_VDI };

struct import_source;

struct import_source_info {
    enum import_format format;
    bool is_device;
    uint64_t size; /* of what is read */
    unsigned mode; /* permission bits */
    struct timespec mtime;
};

/* Opens PATH and finds its format. With AS_IT_IS an image is read as the bytes of its file. An
 * image is checked first; a damaged one, or one that needs other files outside its folder, is
 * refused. 0 or negative errno with FAILURE filled in. */
int import_source_open(const char *path, bool as_it_is, struct import_source **ret,
                       struct failure *failure);
void import_source_close(struct import_source *s);

const struct import_source_info *import_source_info(const struct import_source *s);

/* The next stretch that may hold data at or after OFFSET: START to END, both the size if there is
 * none. Errors as import_source_open. */
int import_source_next(struct import_source *s, uint64_t offset, uint64_t *ret_start,
                       uint64_t *ret_end, struct failure *failure);

/* Reads exactly SIZE bytes that lie within the source. 0; -ENODATA: it has become shorter; -EIO. */
int import_source_read(struct import_source *s, void *data, size_t size, uint64_t offset);

/* After the last read: -ENODATA if the source was changed since it was opened. */
int import_source_unchanged(struct import_source *s);

static inline void cleanup_import_source(struct import_source **s)
{
    import_source_close(*s);
}
#define CLEANUP_IMPORT_SOURCE CLEANUP(cleanup_import_source)

#endif
