/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the file must hold, in memory. */
#ifndef ISRFS_TESTS_EXERCISE_SHADOW_H
#define ISRFS_TESTS_EXERCISE_SHADOW_H

#include <stdbool.h>

#include "isrfs/base/cleanup.h"
#include "tests/exercise/op.h"

struct shadow {
    uint8_t *data; /* MAX bytes; those past `size` are zero */
    uint64_t size, max;
};

#define SHADOW_SAME UINT64_MAX

/* An empty one. NULL: no memory. */
struct shadow *shadow_new(uint64_t max);
void shadow_free(struct shadow *s);

/* Does to it what OP does to the file. */
void shadow_do(struct shadow *s, const struct op *op);

/* Takes over what the file holds. 0, -EFBIG, or as read(2). */
int shadow_load(struct shadow *s, int fd);
/* Writes it to a file of its own. */
int shadow_save(const struct shadow *s, const char *path);

/* The offset of the first of SIZE bytes at OFFSET that is not so in DATA, or SHADOW_SAME. All of it
 * must lie within the size. */
uint64_t shadow_differs(const struct shadow *s, uint64_t offset, const uint8_t *data,
                        uint64_t size);
/* Where the file begins to differ, which may be the end of one of the two; SHADOW_SAME. */
int shadow_compare(const struct shadow *s, int fd, uint64_t *ret_at);
/* Is there nothing but zeros from OFFSET to END? */
bool shadow_is_zero(const struct shadow *s, uint64_t offset, uint64_t end);

static inline void cleanup_shadow(struct shadow **s)
{
    shadow_free(*s);
}
#define CLEANUP_SHADOW CLEANUP(cleanup_shadow)

#endif
