/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to the codec: the contexts and scratch memory that one call uses, and what is done with
 * them. Setting a context up costs more than hashing a small object with it, so they are kept. */
#ifndef ISRFS_CODEC_WORK_H
#define ISRFS_CODEC_WORK_H

#include <openssl/evp.h>
#include <zlib.h>
#include <zstd.h>

#include "isrfs/codec/codec.h"

/* One caller's tools. Belongs to one thread between work_begin and work_end. */
struct work {
    struct work *next; /* in the list of idle ones; guarded by the codec's lock */
    struct codec *codec;
    EVP_MD_CTX *digest;
    EVP_MAC_CTX *hmac;
    EVP_CIPHER_CTX *encrypt;
    EVP_CIPHER_CTX *decrypt;
    ZSTD_CCtx *zstd_pack; /* these four are made when they are first needed */
    ZSTD_DCtx *zstd_unpack;
    z_stream *zlib_pack;
    z_stream *zlib_unpack;
    struct buffer scratch; /* packed plaintext */
};

/* Takes an idle one or makes one. NULL: out of memory. */
struct work *work_begin(struct codec *c);
/* Gives it back; for CLEANUP. */
void work_end(struct work **w);
#define CLEANUP_WORK CLEANUP(work_end)

const struct codec_settings *work_settings(const struct work *w);

/* The codec's functions of the same names, with tools at hand. */
int work_seal(struct work *w, const struct object_secret *secret, enum object_kind kind,
              const void *clear, size_t clear_size, const void *plain, size_t plain_size,
              struct buffer *out, struct object_ref *ret);
int work_check_id(struct work *w, const struct object_id *id, const void *object, size_t size);
int work_check_header(enum object_kind kind, const struct object_id *id, const void *object,
                      size_t size);
int work_open(struct work *w, const struct object_key *key, const void *object, size_t size,
              size_t clear_size, void *plain);

/* In pack.c: releases the compressors' contexts. */
void pack_release(struct work *w);

#endif
