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

/* One more; 0 or -ENOMEM. One less, of those counted before. IS_KEPT: what is written to the file
 * is to be kept before anybody asks (the same for all its writers; not so for volatile files). */
int writers_add(struct writers *w, uint64_t file_id, bool is_kept);
void writers_remove(struct writers *w, uint64_t file_id);

bool writers_has(struct writers *w, uint64_t file_id);
bool writers_any(struct writers *w);

/* All of them; *RET is the caller's. 0 or -ENOMEM. */
int writers_list(struct writers *w, uint64_t **ret, size_t *ret_count);

/* When were changes last handed over? Of the files that are to be kept only; a time is one of
 * clock_ms, and a file starts with the moment at which it was opened. */

bool writers_any_kept(struct writers *w);

/* Those that handed over nothing since before LIMIT, and the oldest time among the others
 * (INT64_MAX: there are none). *RET is the caller's. 0 or -ENOMEM. */
int writers_due(struct writers *w, int64_t limit, uint64_t **ret, size_t *ret_count,
                int64_t *ret_oldest);
/* Is this one still among them? Then its time is NOW. */
bool writers_take_due(struct writers *w, uint64_t file_id, int64_t limit, int64_t now);
/* All that was written before TIME has been handed over. Nothing for a file without writers. */
void writers_handed_over(struct writers *w, uint64_t file_id, int64_t time);

/* A negative errno that is to be told when one of the file's writers closes it; it is told once. 0:
 * there is none. */
void writers_set_error(struct writers *w, uint64_t file_id, int error);
int writers_take_error(struct writers *w, uint64_t file_id);

#endif
