/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plain memory; all that has to be kept is that bytes past the size are zero, so that growing shows
 * zeros. */
#include "tests/exercise/shadow.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/io.h"

#define PIECE (1u << 20)

struct shadow *shadow_new(uint64_t max)
{
    struct shadow *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->max = max;
    s->data = calloc(1, max);
    if (!s->data) {
        free(s);
        return NULL;
    }
    return s;
}

void shadow_free(struct shadow *s)
{
    if (!s)
        return;
    free(s->data);
    free(s);
}

static void set_size(struct shadow *s, uint64_t size)
{
    if (size < s->size)
        memset(s->data + size, 0, s->size - size);
    s->size = size;
}

static void grow(struct shadow *s, uint64_t size)
{
    if (size > s->size)
        s->size = size;
}

static void zero(struct shadow *s, const struct op *op)
{
    uint64_t end = op->offset + op->size < s->size ? op->offset + op->size : s->size;
    if (op->offset < end)
        memset(s->data + op->offset, 0, end - op->offset);
}

void shadow_do(struct shadow *s, const struct op *op)
{
    switch (op->kind) {
    case OP_WRITE:
    case OP_DIRECT_WRITE:
    case OP_MAP_WRITE:
        op_fill(op, op->offset, s->data + op->offset, op->size);
        grow(s, op->offset + op->size);
        break;
    case OP_TRUNCATE:
        set_size(s, op->size);
        break;
    case OP_PUNCH:
    case OP_ZERO:
        zero(s, op);
        break;
    case OP_ZERO_GROW:
        zero(s, op);
        grow(s, op->offset + op->size);
        break;
    case OP_COPY_RANGE:
    case OP_COPY:
        memcpy(s->data + op->offset, s->data + op->from, op->size);
        grow(s, op->offset + op->size);
        break;
    default:
        break;
    }
}

int shadow_load(struct shadow *s, int fd)
{
    set_size(s, 0);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_size > s->max)
        return -EFBIG;
    ssize_t n = io_pread(fd, s->data, (size_t)st.st_size, 0);
    if (n < 0)
        return (int)n;
    s->size = (uint64_t)n;
    return n == st.st_size ? 0 : -EIO;
}

int shadow_save(const struct shadow *s, const char *path)
{
    return io_replace(AT_FDCWD, path, s->data, s->size, 0600, false);
}

uint64_t shadow_differs(const struct shadow *s, uint64_t offset, const uint8_t *data, uint64_t size)
{
    if (memcmp(s->data + offset, data, size) == 0)
        return SHADOW_SAME;
    uint64_t at = 0;
    while (s->data[offset + at] == data[at])
        at++;
    return offset + at;
}

int shadow_compare(const struct shadow *s, int fd, uint64_t *ret_at)
{
    CLEANUP_FREE uint8_t *piece = malloc(PIECE);
    struct stat st;
    if (!piece || fstat(fd, &st) < 0)
        return piece ? -errno : -ENOMEM;
    uint64_t size = (uint64_t)st.st_size < s->size ? (uint64_t)st.st_size : s->size;
    *ret_at = SHADOW_SAME;
    for (uint64_t at = 0; at < size && *ret_at == SHADOW_SAME;) {
        size_t want = size - at < PIECE ? size - at : PIECE;
        ssize_t n = io_pread(fd, piece, want, (off_t)at);
        if (n < 0)
            return (int)n;
        *ret_at = shadow_differs(s, at, piece, (uint64_t)n);
        at += (uint64_t)n;
        if ((size_t)n < want && *ret_at == SHADOW_SAME)
            *ret_at = at;
    }
    if (*ret_at == SHADOW_SAME && (uint64_t)st.st_size != s->size)
        *ret_at = size;
    return 0;
}

bool shadow_is_zero(const struct shadow *s, uint64_t offset, uint64_t end)
{
    for (uint64_t at = offset; at < end; at++)
        if (s->data[at] != 0)
            return false;
    return true;
}
