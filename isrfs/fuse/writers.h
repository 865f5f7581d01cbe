/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which files are open for writing: only of those can the kernel hold changes that it has not
 * handed over yet (it writes a file back before it says that the last writer, or the last shared
 * mapping made through one, is gone). Any thread may call. */
#ifndef ISRFS_FUSE_WRITERS_H
#define ISRFS_FUSE_WRITERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct writers;

struct writers *writers_new(void); /* NULL: no memory */
void writers_free(struct writers *w);

/* One more; 0 or -ENOMEM. One less, of those counted before. */
int writers_add(struct writers *w, uint64_t file_id);
void writers_remove(struct writers *w, uint64_t file_id);

bool writers_has(struct writers *w, uint64_t file_id);
bool writers_any(struct writers *w);

/* All of them; *RET is the caller's. 0 or -ENOMEM. */
int writers_list(struct writers *w, uint64_t **ret, size_t *ret_count);

#endif
