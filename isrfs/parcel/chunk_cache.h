/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decoded chunks by id, in memory, within a budget. Objects never change, so an entry is never
 * stale. Any thread may call. */
#ifndef ISRFS_PARCEL_CHUNK_CACHE_H
#define ISRFS_PARCEL_CHUNK_CACHE_H

#include "isrfs/base/counters.h"
#include "isrfs/parcel/chunk_buffers.h"
#include "isrfs/store/store.h"

struct chunk_cache;
struct chunk; /* a decoded chunk that somebody uses: immutable */

/* All that is named must outlive the cache. NULL: no memory. */
struct chunk_cache *chunk_cache_new(size_t budget, struct codec *codec, struct store *store,
                                    struct chunk_buffers *buffers, struct counters *counters);
/* Every chunk must have been released. */
void chunk_cache_free(struct chunk_cache *c);

/* The chunk that REF names, of CHUNK_SIZE bytes, fetched and decoded if it is not there; several
 * who ask at once wait for one fetch. To be released. May block on the store. Errors as store_get;
 * -EBADMSG also for an object that does not decode. */
int chunk_cache_get(struct chunk_cache *c, const struct object_ref *ref, uint32_t chunk_size,
                    struct chunk **ret);
const uint8_t *chunk_data(const struct chunk *chunk);
void chunk_cache_release(struct chunk_cache *c, struct chunk *chunk);
/* Likewise, when the reader has taken all of it and will hardly come back: it is evicted first, so
 * that a long sequential read does not push out what others use again, and decodes into memory that
 * the CPU's caches still hold. */
void chunk_cache_release_spent(struct chunk_cache *c, struct chunk *chunk);

/* Is it there, or on its way? */
bool chunk_cache_has(struct chunk_cache *c, const struct object_id *id, uint32_t chunk_size);

/* Puts in what was just encoded. DATA, from the cache's buffers, belongs to the cache afterwards.
 */
void chunk_cache_insert(struct chunk_cache *c, const struct object_id *id, uint8_t *data,
                        uint32_t chunk_size);

/* Bytes of decoded chunks held. */
size_t chunk_cache_bytes(struct chunk_cache *c);

#endif
