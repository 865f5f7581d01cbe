/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a file must hold while several threads work on it: a shadow copy of which each thread claims
 * the range that it is about to use. An operation that failed may have been done in part; then a
 * byte may be what it was or what was to be written, until a read has shown which.
 *
 * Claims wait for each other; everything else needs a claim of the range, and does not. */
#ifndef ISRFS_TESTS_MODEL_FILE_H
#define ISRFS_TESTS_MODEL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model_file;

struct model_claim {
    uint64_t first, end;
    struct model_claim *prev, *next;
};

/* An empty one that may grow to MAX bytes. NULL: no memory. */
struct model_file *model_file_new(uint64_t max);
void model_file_free(struct model_file *m);

/* Waits until nobody else has the range; gives the file's size. GROWS: the size becomes OFFSET +
 * SIZE if it is less, so that all past the old size is claimed too. */
uint64_t model_file_claim(struct model_file *m, uint64_t offset, uint64_t size, bool grows,
                          struct model_claim *claim);
/* Likewise for a new size. */
uint64_t model_file_claim_size(struct model_file *m, uint64_t size, struct model_claim *claim);
void model_file_release(struct model_file *m, struct model_claim *claim);

/* DATA (NULL: zeros) was written, or, if FAILED, perhaps. */
void model_file_put(struct model_file *m, uint64_t offset, const uint8_t *data, uint64_t size,
                    bool failed);
/* The size is SIZE now; what lies past it is zero. */
void model_file_set_size(struct model_file *m, uint64_t size);

/* Were these bytes to be read? *RET_AT: the first that was not. */
bool model_file_check(struct model_file *m, uint64_t offset, const uint8_t *data, uint64_t size,
                      uint64_t *ret_at);

#endif
