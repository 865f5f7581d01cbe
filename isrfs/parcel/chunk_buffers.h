/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory for decoded chunks: plain text, so it is kept out of core dumps and locked as far as the
 * limits go. Released buffers are kept for reuse (fresh pages cost far more than used ones). Any
 * thread. */
#ifndef ISRFS_PARCEL_CHUNK_BUFFERS_H
#define ISRFS_PARCEL_CHUNK_BUFFERS_H

#include <stddef.h>
#include <stdint.h>

struct chunk_buffers;

/* Keeps up to SPARE bytes for reuse. NULL: no memory. */
struct chunk_buffers *chunk_buffers_new(size_t spare);
/* Every buffer must have been given back. */
void chunk_buffers_free(struct chunk_buffers *b);

/* SIZE bytes, page-aligned, of undefined content, or NULL. */
uint8_t *chunk_buffers_take(struct chunk_buffers *b, size_t size);
void chunk_buffers_give(struct chunk_buffers *b, uint8_t *data, size_t size);

#endif
