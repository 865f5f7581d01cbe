/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A growable run of bytes, and little-endian integers in it (DESIGN 3: all integers are
 * little-endian and laid out byte by byte). Not locked: one thread at a time. */
#ifndef ISRFS_BASE_BUFFER_H
#define ISRFS_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "isrfs/base/cleanup.h"

struct buffer {
    uint8_t *data; /* owned; NULL while room is 0 */
    size_t size;   /* bytes in use */
    size_t room;   /* bytes allocated */
};

#define CLEANUP_BUFFER CLEANUP(buffer_free)

/* Releases the bytes and leaves an empty buffer. buffer_free_secret wipes them first. */
void buffer_free(struct buffer *b);
void buffer_free_secret(struct buffer *b);
#define CLEANUP_SECRET_BUFFER CLEANUP(buffer_free_secret)

/* Makes room for at least SIZE bytes in all. 0 or -ENOMEM. Growing moves the bytes (the old copy is
 * wiped), so pointers into it end. */
int buffer_reserve(struct buffer *b, size_t size);

/* Sets the size, growing with undefined bytes. 0 or -ENOMEM. */
int buffer_resize(struct buffer *b, size_t size);

/* Appends. 0 or -ENOMEM; on error nothing is appended. */
int buffer_append(struct buffer *b, const void *data, size_t size);
int buffer_append_text(struct buffer *b, const char *text);
int buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buffer_put_u8(struct buffer *b, uint8_t v);
int buffer_put_u16(struct buffer *b, uint16_t v);
int buffer_put_u32(struct buffer *b, uint32_t v);
int buffer_put_u64(struct buffer *b, uint64_t v);

/* Ends the bytes with a NUL that is not counted in size. 0 or -ENOMEM. */
int buffer_terminate(struct buffer *b);

static inline void put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void put_u32(uint8_t *p, uint32_t v)
{
    put_u16(p, (uint16_t)v);
    put_u16(p + 2, (uint16_t)(v >> 16));
}

static inline void put_u64(uint8_t *p, uint64_t v)
{
    put_u32(p, (uint32_t)v);
    put_u32(p + 4, (uint32_t)(v >> 32));
}

static inline uint16_t get_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t get_u32(const uint8_t *p)
{
    return get_u16(p) | (uint32_t)get_u16(p + 2) << 16;
}

static inline uint64_t get_u64(const uint8_t *p)
{
    return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

/* Reads bytes that nobody vouches for. A read past the end sets `bad`, and it and all that follow
 * give zeros (or NULL): check `bad` once, at the end. */
struct reader {
    const uint8_t *at;
    size_t left;
    bool bad;
};

struct reader reader_of(const void *data, size_t size);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
/* A pointer to the next SIZE bytes inside the data that is read, or NULL. */
const uint8_t *reader_bytes(struct reader *r, size_t size);

#endif
