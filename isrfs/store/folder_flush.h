/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to the folder store: what was put and is not yet durable, and the barrier that makes it
 * so. */
#ifndef ISRFS_STORE_FOLDER_FLUSH_H
#define ISRFS_STORE_FOLDER_FLUSH_H

#include "isrfs/base/pool.h"
#include "isrfs/store/folder_root.h"

struct folder_flush;

enum folder_flush_todo {
    FOLDER_FLUSH_DONE,    /* put since the last barrier: nothing to do, and no call to end it */
    FOLDER_FLUSH_LOOK,    /* write it, unless it is there and good */
    FOLDER_FLUSH_REPLACE, /* write it, whatever is there */
};

struct folder_flush *folder_flush_new(void); /* NULL: out of memory */
void folder_flush_free(struct folder_flush *f);

/* Begins to write the file PATH (relative to the root). Waits while another call writes or flushes
 * that file. Unless *RET is DONE, one of the three calls below must follow. ANEW writes it even if
 * it was put since the last barrier. -ENOMEM; or the last barrier's error, when too much is lost
 * already. */
int folder_flush_begin(struct folder_flush *f, const char *path, bool anew,
                       enum folder_flush_todo *ret);
/* It is written, on the root of that GENERATION; FD is a descriptor of the file, which is taken.
 * True when so much has been put that the caller should run a barrier, for the sake of memory. */
bool folder_flush_written(struct folder_flush *f, const char *path, unsigned generation, int fd);
/* It could not be written, and is as it was. */
void folder_flush_failed(struct folder_flush *f, const char *path);
/* It has been removed, which the next barrier makes durable. 0 or -ENOMEM: then it does not. */
int folder_flush_removed(struct folder_flush *f, const char *path);

/* All that was put since the last good barrier is lost, and whatever is still being put on a root
 * of the generation so far will be. ERROR is what barriers say from now on. */
void folder_flush_lose(struct folder_flush *f, int error);
unsigned folder_flush_generation(struct folder_flush *f);

/* What is lost does not make barriers fail any more; it is still written anew when it is put. */
void folder_flush_forgive(struct folder_flush *f);

/* Makes what was put durable. 0, or an error, and then also the next barrier fails until all that
 * was put has been put again. POOL may be NULL. */
int folder_flush_run(struct folder_flush *f, const struct folder_root *root, struct pool *pool);

#endif
