/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The packed form, and what is made of it: chunks and other objects with a packed body.
 *
 *   0 codec u8, 1 plain length u32, 5 packed length u32, 9 bytes, then zeros up to the padded
 * length
 *
 * Reading bounds everything before it is used: the plain length by what the caller can take, the
 * packed length by the bytes that are there. Both decompressors write straight into memory of
 * exactly the plain length, so that nothing they are given can make them take more; a window is
 * never allocated. The padding must be zeros, or two objects could say the same thing in two ways.
 */
#include <errno.h>

#include "isrfs/base/log.h"
#include "isrfs/codec/codec.h"
#include "isrfs/codec/work.h"

#define HEAD 9u

#define ZSTD_LEVEL 1
#define ZLIB_LEVEL 6
#define PLAIN_MAX  (1u << 30)

#define GAIN_MIN 16u /* compression must save at least 1/16 to be worth a decompression */

struct packed {
    enum codec_method method;
    size_t plain_size;
    const uint8_t *bytes;
    size_t size;
};

static void zlib_release(z_stream **z, int (*end)(z_stream *))
{
    if (*z)
        end(*z);
    free(*z);
    *z = NULL;
}

void pack_release(struct work *w)
{
    ZSTD_freeCCtx(w->zstd_pack);
    ZSTD_freeDCtx(w->zstd_unpack);
    zlib_release(&w->zlib_pack, deflateEnd);
    zlib_release(&w->zlib_unpack, inflateEnd);
}

/* PADME (Nikitin and others, 2019): lengths of which only the upper log2(log2(n)) bits vary, at
 * most 12 % more. */
static size_t padded(enum codec_pad pad, size_t size)
{
    if (pad == CODEC_PAD_NONE || size < 2)
        return size;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(size);
    unsigned kept = exponent == 0 ? 1 : 32u - (unsigned)__builtin_clz(exponent);
    size_t mask = ((size_t)1 << (exponent - kept)) - 1;
    return (size + mask) & ~mask;
}

static int zstd_pack(struct work *w, const void *data, size_t size, uint8_t *out, size_t room,
                     size_t *ret)
{
    if (!w->zstd_pack) {
        int level = work_settings(w)->level;
        w->zstd_pack = ZSTD_createCCtx();
        if (!w->zstd_pack)
            return -ENOMEM;
        ZSTD_CCtx_setParameter(w->zstd_pack, ZSTD_c_compressionLevel, level ? level : ZSTD_LEVEL);
    }
    *ret = ZSTD_compress2(w->zstd_pack, out, room, data, size);
    return ZSTD_isError(*ret) ? -EIO : 0;
}

static int zlib_pack(struct work *w, const void *data, size_t size, uint8_t *out, size_t room,
                     size_t *ret)
{
    if (!w->zlib_pack) {
        int level = work_settings(w)->level;
        CLEANUP_FREE z_stream *z = calloc(1, sizeof *z);
        if (!z || deflateInit(z, level ? level : ZLIB_LEVEL) != Z_OK)
            return -ENOMEM;
        w->zlib_pack = steal_ptr(z);
    }
    z_stream *z = w->zlib_pack;
    deflateReset(z);
    z->next_in = (z_const Bytef *)data;
    z->avail_in = (uInt)size;
    z->next_out = out;
    z->avail_out = (uInt)room;
    if (deflate(z, Z_FINISH) != Z_STREAM_END)
        return -EIO;
    *ret = z->total_out;
    return 0;
}

/* Appends the packed form's head and bytes to OUT, which is empty and has ROOM bytes behind the
 * head. */
static int pack_bytes(struct work *w, const void *data, size_t size, size_t room, uint8_t *out,
                      size_t *ret)
{
    enum codec_method method = work_settings(w)->method;
    size_t packed = 0;
    int r = 0;
    if (method == CODEC_ZSTD)
        r = zstd_pack(w, data, size, out + HEAD, room, &packed);
    else if (method == CODEC_ZLIB)
        r = zlib_pack(w, data, size, out + HEAD, room, &packed);
    if (r < 0)
        return r;
    if (method == CODEC_STORED || packed >= size || (size - packed) * GAIN_MIN < size) {
        method = CODEC_STORED;
        packed = size;
        if (size)
            memcpy(out + HEAD, data, size);
    }
    out[0] = (uint8_t)method;
    put_u32(out + 1, (uint32_t)size);
    put_u32(out + 5, (uint32_t)packed);
    *ret = packed;
    return 0;
}

static int pack(struct work *w, const void *data, size_t size, struct buffer *out)
{
    if (size > PLAIN_MAX)
        return -EFBIG;
    size_t zstd_room = ZSTD_compressBound(size);
    size_t zlib_room =
        compressBound(size) + 64; /* deflate's own bound can be above compressBound's */
    size_t room = zstd_room > zlib_room ? zstd_room : zlib_room;
    enum codec_pad pad = work_settings(w)->pad;
    size_t most = padded(pad, HEAD + size);
    int r = buffer_resize(out, most > HEAD + room ? most : HEAD + room);
    if (r < 0)
        return r;
    size_t packed;
    r = pack_bytes(w, data, size, room, out->data, &packed);
    if (r < 0)
        return r;
    out->size = padded(pad, HEAD + packed);
    memset(out->data + HEAD + packed, 0, out->size - HEAD - packed);
    return 0;
}

int codec_pack(struct codec *c, const void *data, size_t size, struct buffer *out)
{
    CLEANUP_WORK struct work *w = work_begin(c);
    return w ? pack(w, data, size, out) : -ENOMEM;
}

/* Takes a packed form apart. -EBADMSG for anything that pack() could not have made, but for how the
 * bytes themselves decompress. */
static int parse(const void *packed, size_t packed_size, size_t limit, struct packed *ret)
{
    struct reader r = reader_of(packed, packed_size);
    unsigned method = reader_u8(&r);
    ret->plain_size = reader_u32(&r);
    ret->size = reader_u32(&r);
    ret->bytes = reader_bytes(&r, ret->size);
    if (r.bad || ret->plain_size > limit || !codec_is_zero(r.at, r.left))
        return -EBADMSG;
    if (method > CODEC_ZSTD) {
        log_error("an object is packed with codec %u, which is not known", method);
        return -EBADMSG;
    }
    ret->method = (enum codec_method)method;
    if (ret->method == CODEC_STORED && ret->size != ret->plain_size)
        return -EBADMSG;
    return 0;
}

static int zstd_unpack(struct work *w, const struct packed *p, void *data)
{
    if (!w->zstd_unpack) {
        w->zstd_unpack = ZSTD_createDCtx();
        if (!w->zstd_unpack)
            return -ENOMEM;
    }
    size_t n = ZSTD_decompressDCtx(w->zstd_unpack, data, p->plain_size, p->bytes, p->size);
    return !ZSTD_isError(n) && n == p->plain_size ? 0 : -EBADMSG;
}

static int zlib_unpack(struct work *w, const struct packed *p, void *data)
{
    if (!w->zlib_unpack) {
        CLEANUP_FREE z_stream *fresh = calloc(1, sizeof *fresh);
        if (!fresh || inflateInit(fresh) != Z_OK)
            return -ENOMEM;
        w->zlib_unpack = steal_ptr(fresh);
    }
    z_stream *z = w->zlib_unpack;
    inflateReset(z);
    z->next_in = (z_const Bytef *)p->bytes;
    z->avail_in = (uInt)p->size;
    z->next_out = data;
    z->avail_out = (uInt)p->plain_size;
    if (inflate(z, Z_FINISH) != Z_STREAM_END || z->total_out != p->plain_size || z->avail_in != 0)
        return -EBADMSG;
    return 0;
}

static int unpack(struct work *w, const struct packed *p, void *data)
{
    if (p->method == CODEC_ZSTD)
        return zstd_unpack(w, p, data);
    if (p->method == CODEC_ZLIB)
        return zlib_unpack(w, p, data);
    if (p->size)
        memcpy(data, p->bytes, p->size);
    return 0;
}

int codec_packed_length(const void *packed, size_t packed_size, size_t limit, size_t *ret)
{
    struct packed p;
    int r = parse(packed, packed_size, limit, &p);
    if (r == 0)
        *ret = p.plain_size;
    return r;
}

int codec_unpack(struct codec *c, const void *packed, size_t packed_size, void *data, size_t size)
{
    struct packed p;
    int r = parse(packed, packed_size, size, &p);
    if (r < 0)
        return r;
    if (p.plain_size != size)
        return -EBADMSG;
    CLEANUP_WORK struct work *w = work_begin(c);
    return w ? unpack(w, &p, data) : -ENOMEM;
}

bool codec_is_zero(const void *data, size_t size)
{
    const uint8_t *p = data;
    if (size == 0)
        return true;
    /* Zero at first, and each byte like the one before it. */
    return p[0] == 0 && memcmp(p, p + 1, size - 1) == 0;
}

static size_t without_zeros(const uint8_t *data, size_t size)
{
    while (size >= 64 && codec_is_zero(data + size - 64, 64))
        size -= 64;
    while (size > 0 && data[size - 1] == 0)
        size--;
    return size;
}

int codec_encode_chunk(struct codec *c, const struct object_secret *secret, const void *chunk,
                       size_t chunk_size, struct buffer *out, struct object_ref *ret)
{
    CLEANUP_WORK struct work *w = work_begin(c);
    if (!w)
        return -ENOMEM;
    int r = pack(w, chunk, without_zeros(chunk, chunk_size), &w->scratch);
    if (r < 0)
        return r;
    return work_seal(w, secret, OBJECT_CHUNK, NULL, 0, w->scratch.data, w->scratch.size, out, ret);
}

/* Decrypts the packed body of an object whose id and header are right into the scratch memory. */
static int open_packed(struct work *w, const struct object_key *key, const void *object,
                       size_t size, size_t clear_size, size_t limit, struct packed *ret)
{
    const size_t fixed = OBJECT_HEADER_SIZE + OBJECT_TAG_SIZE;
    if (clear_size > size - fixed)
        return -EBADMSG;
    int r = buffer_resize(&w->scratch, size - fixed - clear_size);
    if (r == 0)
        r = work_open(w, key, object, size, clear_size, w->scratch.data);
    return r < 0 ? r : parse(w->scratch.data, w->scratch.size, limit, ret);
}

int codec_decode_checked_chunk(struct codec *c, const struct object_ref *ref, const void *object,
                               size_t size, void *chunk, size_t chunk_size)
{
    int r = work_check_header(OBJECT_CHUNK, &ref->id, object, size);
    if (r < 0)
        return r;
    CLEANUP_WORK struct work *w = work_begin(c);
    if (!w)
        return -ENOMEM;
    struct packed p;
    r = open_packed(w, &ref->key, object, size, 0, chunk_size, &p);
    if (r == 0)
        r = unpack(w, &p, chunk);
    if (r == 0)
        memset((uint8_t *)chunk + p.plain_size, 0, chunk_size - p.plain_size);
    return r;
}

int codec_decode_chunk(struct codec *c, const struct object_ref *ref, const void *object,
                       size_t size, void *chunk, size_t chunk_size)
{
    int r = codec_check(c, OBJECT_CHUNK, &ref->id, object, size);
    return r < 0 ? r : codec_decode_checked_chunk(c, ref, object, size, chunk, chunk_size);
}

int codec_decode_packed(struct codec *c, const struct object_ref *ref, enum object_kind kind,
                        const void *object, size_t size, size_t clear_size, size_t limit,
                        struct buffer *out)
{
    int r = codec_check(c, kind, &ref->id, object, size);
    if (r < 0)
        return r;
    CLEANUP_WORK struct work *w = work_begin(c);
    if (!w)
        return -ENOMEM;
    struct packed p;
    r = open_packed(w, &ref->key, object, size, clear_size, limit, &p);
    if (r == 0)
        r = buffer_resize(out, p.plain_size);
    return r < 0 ? r : unpack(w, &p, out->data);
}
