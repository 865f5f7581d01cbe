/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Buffers grow by doubling. What is moved or released may be secret, and wiping costs little beside
 * what is done with such bytes, so growing always wipes the old copy; releasing does only on
 * request. */
#include "isrfs/base/buffer.h"

#include <stdarg.h>
#include <string.h>

#include "isrfs/base/secret.h"

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

void buffer_free_secret(struct buffer *b)
{
    if (b->data)
        secret_wipe(b->data, b->room);
    buffer_free(b);
}

int buffer_reserve(struct buffer *b, size_t size)
{
    if (size <= b->room)
        return 0;
    size_t room = b->room ? b->room : 64;
    while (room < size) {
        if (room > SIZE_MAX / 2)
            return -ENOMEM;
        room *= 2;
    }
    uint8_t *data = malloc(room);
    if (!data)
        return -ENOMEM;
    if (b->size)
        memcpy(data, b->data, b->size);
    size_t used = b->size;
    buffer_free_secret(b);
    *b = (struct buffer){.data = data, .size = used, .room = room};
    return 0;
}

int buffer_resize(struct buffer *b, size_t size)
{
    int r = buffer_reserve(b, size);
    if (r < 0)
        return r;
    b->size = size;
    return 0;
}

int buffer_append(struct buffer *b, const void *data, size_t size)
{
    if (size > SIZE_MAX - b->size)
        return -ENOMEM;
    int r = buffer_reserve(b, b->size + size);
    if (r < 0)
        return r;
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
    return 0;
}

int buffer_append_text(struct buffer *b, const char *text)
{
    return buffer_append(b, text, strlen(text));
}

int buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int r = length < 0 ? -EINVAL : buffer_reserve(b, b->size + (size_t)length + 1);
    if (r == 0) {
        vsnprintf((char *)b->data + b->size, (size_t)length + 1, format, again);
        b->size += (size_t)length;
    }
    va_end(again);
    return r;
}

int buffer_put_u8(struct buffer *b, uint8_t v)
{
    return buffer_append(b, &v, 1);
}

int buffer_put_u16(struct buffer *b, uint16_t v)
{
    uint8_t bytes[2];
    put_u16(bytes, v);
    return buffer_append(b, bytes, sizeof bytes);
}

int buffer_put_u32(struct buffer *b, uint32_t v)
{
    uint8_t bytes[4];
    put_u32(bytes, v);
    return buffer_append(b, bytes, sizeof bytes);
}

int buffer_put_u64(struct buffer *b, uint64_t v)
{
    uint8_t bytes[8];
    put_u64(bytes, v);
    return buffer_append(b, bytes, sizeof bytes);
}

int buffer_terminate(struct buffer *b)
{
    int r = buffer_put_u8(b, 0);
    if (r == 0)
        b->size--;
    return r;
}

struct reader reader_of(const void *data, size_t size)
{
    return (struct reader){.at = data, .left = size};
}

const uint8_t *reader_bytes(struct reader *r, size_t size)
{
    if (r->bad || size > r->left) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += size;
    r->left -= size;
    return at;
}

uint8_t reader_u8(struct reader *r)
{
    const uint8_t *p = reader_bytes(r, 1);
    return p ? *p : 0;
}

uint16_t reader_u16(struct reader *r)
{
    const uint8_t *p = reader_bytes(r, 2);
    return p ? get_u16(p) : 0;
}

uint32_t reader_u32(struct reader *r)
{
    const uint8_t *p = reader_bytes(r, 4);
    return p ? get_u32(p) : 0;
}

uint64_t reader_u64(struct reader *r)
{
    const uint8_t *p = reader_bytes(r, 8);
    return p ? get_u64(p) : 0;
}
