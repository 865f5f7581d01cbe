/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The space of segments on the disk: reserved, set aside for a full disk, given back. Private to
 * the site log. One thread at a time; all calls block on the disk. */
#ifndef ISRFS_PARCEL_SEGMENT_SPACE_H
#define ISRFS_PARCEL_SEGMENT_SPACE_H

#include <stdint.h>

#define SEGMENT_SPACE_UNIT (1u << 20) /* bytes; what is set aside is a multiple of it */

/* Makes the file NAME in the log's folder DIRFD, with SEGMENT_SIZE bytes reserved where the file
 * system can: a descriptor. -ENOSPC, -EEXIST, ..., with nothing left behind. */
int segment_space_reserve(int dirfd, const char *name);

/* Sets aside up to SEGMENT_SIZE bytes, or as many as there are; what is set aside already stays.
 * 0, -ENOSPC if it is less than SEGMENT_SIZE, or why the disk cannot be written. */
int segment_space_set_aside(int dirfd);
/* Bytes that are set aside. */
uint64_t segment_space_aside(int dirfd);
/* What was set aside becomes the file NAME, of *RET_SIZE bytes: a descriptor. -ENOSPC if there is
 * nothing. */
int segment_space_take(int dirfd, const char *name, uint64_t *ret_size);

/* Gives back what the file of segment NUMBER has behind its first END bytes. */
int segment_space_give_back(int dirfd, uint64_t number, uint64_t end);

#endif
