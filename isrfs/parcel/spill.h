/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file of encrypted blocks for what memory has no room for, and which is of no use to any other
 * process: it has no name, and its key is never anywhere but in this process. Nothing is flushed.
 * Any thread may call; one at a time for each block. Calls block on the disk of this site. */
#ifndef ISRFS_PARCEL_SPILL_H
#define ISRFS_PARCEL_SPILL_H

#include <stddef.h>
#include <stdint.h>

struct spill;

/* Makes one in the folder DIRFD. 0 or negative errno. */
int spill_new(int dirfd, struct spill **ret);
void spill_free(struct spill *s); /* NULL is allowed */

/* Reserves space for blocks 0 to COUNT - 1, so that writing them cannot fail for want of it.
 * -ENOSPC; 0 also where the file system cannot reserve. */
int spill_reserve(struct spill *s, uint64_t count);

/* Writes COUNT blocks from number FIRST on, each in its place, whatever was there. Each gets a
 * number of its own: *RET_NUMBER and the following ones; to be shown when it is read. */
int spill_write(struct spill *s, uint64_t first, const uint8_t *data, unsigned count,
                uint64_t *ret_number);

/* Reads the block that was last written there, as number NUMBER. -EBADMSG: it is not that one. */
int spill_read(struct spill *s, uint64_t block, uint64_t number, uint8_t *data);

#endif
