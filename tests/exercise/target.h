/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file that is exercised: operations done to it, and what they read compared. */
#ifndef ISRFS_TESTS_EXERCISE_TARGET_H
#define ISRFS_TESTS_EXERCISE_TARGET_H

#include "tests/exercise/shadow.h"

struct target;

/* Opens an existing file, for reading and writing. 0, -ENOMEM, or as open(2). */
int target_open(const char *path, struct target **ret);
void target_close(struct target *t);

/* A descriptor of it, for as long as nothing else is done. */
int target_fd(const struct target *t);

/* Does OP. BEFORE is what the file must hold; *RET_AT gets where what was read differs from that
 * (SHADOW_SAME: nowhere), with RET_FOUND the word that was read there. 0 or negative errno. */
int target_do(struct target *t, const struct op *op, const struct shadow *before, uint64_t *ret_at,
              uint64_t *ret_found);

static inline void cleanup_target(struct target **t)
{
    target_close(*t);
}
#define CLEANUP_TARGET CLEANUP(cleanup_target)

#endif
