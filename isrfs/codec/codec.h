/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes <-> objects: compress, derive the key, encrypt, name. Pure functions of memory, no files.
 * Suite 1 (DESIGN 3): SHA-256, HMAC-SHA-256, AES-256-GCM with a zero nonce, which is safe only
 * because the key depends on every byte that it encrypts or authenticates (message-locked
 * encryption, Bellare, Keelveedhi, Ristenpart 2013, with a secret in the key's derivation).
 *
 * Any thread may call anything here; nothing blocks. */
#ifndef ISRFS_CODEC_CODEC_H
#define ISRFS_CODEC_CODEC_H

#include "isrfs/base/buffer.h"
#include "isrfs/codec/object.h"

enum codec_method { CODEC_STORED = 0, CODEC_ZLIB = 1, CODEC_ZSTD = 2 };
enum codec_pad { CODEC_PAD_NONE, CODEC_PAD_PADME };

struct codec_settings {
    enum codec_method method;
    int level; /* 0: the method's own default */
    enum codec_pad pad;
};

struct codec;

/* Fetches the algorithms. NULL with errno: EINVAL for a level that the method has not (zstd: 1 to
 * ZSTD_maxCLevel(), zlib: 1 to 9), ENOTSUP when libcrypto lacks an algorithm, ENOMEM. Any function
 * that takes a codec may also fail with -ENOMEM: what it works with is made when it is first
 * needed. */
struct codec *codec_new(const struct codec_settings *settings);
void codec_free(struct codec *c);

/* SHA-256 of SIZE bytes. 0 or -EIO. */
int codec_digest(struct codec *c, const void *data, size_t size, struct object_id *ret);

/* HMAC-SHA-256 of the bytes of A, then those of B. 0 or -EIO. */
int codec_hmac(struct codec *c, const uint8_t key[32], const void *a, size_t a_size, const void *b,
               size_t b_size, uint8_t ret[32]);

/* Makes an object of KIND: header, CLEAR bytes as they are, PLAIN bytes encrypted, tag. OUT is
 * overwritten with it; RET says how to find and open it. 0, -EFBIG beyond OBJECT_SIZE_MAX, -ENOMEM,
 * -EIO. */
int codec_seal(struct codec *c, const struct object_secret *secret, enum object_kind kind,
               const void *clear, size_t clear_size, const void *plain, size_t plain_size,
               struct buffer *out, struct object_ref *ret);

/* Is this what ID names, and an object of KIND and suite 1? 0, or -EBADMSG. To be asked before
 * anything in an object is used. */
int codec_check(struct codec *c, enum object_kind kind, const struct object_id *id,
                const void *object, size_t size);

/* Opens an object that codec_check found good: CLEAR_SIZE bytes after the header are in the clear,
 * the rest but the tag is decrypted into PLAIN (size - OBJECT_HEADER_SIZE - CLEAR_SIZE -
 * OBJECT_TAG_SIZE bytes, which the caller has provided). 0, -EBADMSG if the key does not open it
 * (PLAIN is wiped). */
int codec_open(struct codec *c, const struct object_key *key, const void *object, size_t size,
               size_t clear_size, void *plain);

/* The packed form (DESIGN 3): codec, lengths, bytes, padding. Stored raw where compression gains
 * less than 1/16. OUT is overwritten; release it with buffer_free_secret. 0 or -ENOMEM, -EIO,
 * -EFBIG beyond 1 GiB. */
int codec_pack(struct codec *c, const void *data, size_t size, struct buffer *out);

/* The plain length that a packed form claims, at most LIMIT: 0, or -EBADMSG. */
int codec_packed_length(const void *packed, size_t packed_size, size_t limit, size_t *ret);

/* Unpacks into DATA exactly SIZE bytes, which must be what codec_packed_length says. 0 or -EBADMSG
 * (also for codecs that are not known). */
int codec_unpack(struct codec *c, const void *packed, size_t packed_size, void *data, size_t size);

/* A whole chunk of CHUNK_SIZE bytes to an object; zeros at its end are not stored. The chunk must
 * not be all zeros (that is a hole). Errors as codec_seal. */
int codec_encode_chunk(struct codec *c, const struct object_secret *secret, const void *chunk,
                       size_t chunk_size, struct buffer *out, struct object_ref *ret);

/* An object back to the chunk's CHUNK_SIZE bytes, checking everything on the way, id first. 0, or
 * -EBADMSG and CHUNK undefined. */
int codec_decode_chunk(struct codec *c, const struct object_ref *ref, const void *object,
                       size_t size, void *chunk, size_t chunk_size);

/* codec_decode_chunk without the check of the id, for an object that has been
 * through it (what store_get gave): hashing is a third of the work, and once is enough. */
int codec_decode_checked_chunk(struct codec *c, const struct object_ref *ref, const void *object,
                               size_t size, void *chunk, size_t chunk_size);

/* Likewise, and id first, for objects whose body is one packed run of bytes after CLEAR_SIZE clear
 * ones (catalogs, patches): a plain length of at most LIMIT. OUT is overwritten and must be
 * released with buffer_free_secret. */
int codec_decode_packed(struct codec *c, const struct object_ref *ref, enum object_kind kind,
                        const void *object, size_t size, size_t clear_size, size_t limit,
                        struct buffer *out);

/* True if all SIZE bytes are zero. */
bool codec_is_zero(const void *data, size_t size);

#endif
