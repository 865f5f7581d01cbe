/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory for secrets: on pages of its own that are locked into RAM as far as the limits go, left
 * out of core dumps and of forked children, and wiped on release. Any thread may call. */
#ifndef ISRFS_BASE_SECRET_H
#define ISRFS_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "isrfs/base/cleanup.h"

/* SIZE zeroed bytes, or NULL with errno ENOMEM. Costs a system call and whole pages: for a
 * structure that holds many keys, not for each key. */
void *secret_alloc(size_t size);

/* Wipes and releases what secret_alloc gave; NULL is allowed. */
void secret_free(void *p);

/* Wipes SIZE bytes in a way that the compiler keeps. */
void secret_wipe(void *p, size_t size);

/* Compares in time that depends on SIZE only. */
bool secret_equal(const void *a, const void *b, size_t size);

/* Fills with bytes from libcrypto's generator. 0 or -EIO. */
int random_bytes(void *out, size_t size);

static inline void cleanup_secret(void *p)
{
    secret_free(*(void **)p);
}
#define CLEANUP_SECRET CLEANUP(cleanup_secret)

/* Keeps this process's memory out of core dumps and away from ptrace by others of this user. */
void secret_protect_process(void);

#endif
