/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The cryptography of objects, suite 1 (see codec.h and doc/format.md).
 *
 * Algorithms are fetched once, when the codec is made. What a call needs besides (contexts of
 * libcrypto and of the compressors, scratch memory) is a struct work. Idle ones lie in a list from
 * which every call takes one and to which it gives it back, so that there are as many as calls ever
 * ran side by side, and no thread has state of its own. The lock guards that list only and is never
 * held while bytes are worked on.
 *
 * Why the zero nonce is safe: a GCM key is used for two different texts only if HMAC-SHA-256
 * collides, because the key is the HMAC of exactly what it encrypts and authenticates. */
#include "isrfs/codec/codec.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/codec/work.h"

#define FORMAT 1u
#define SUITE  1u

static const uint8_t magic[4] = {'I', 'S', 'R', 'O'};
static const uint8_t zero_nonce[12];

struct codec {
    struct codec_settings settings;
    EVP_MD *sha256;
    EVP_MAC *hmac;
    EVP_CIPHER *aes_gcm;
    pthread_mutex_t lock;
    struct work *idle; /* guarded by lock */
};

static void work_free(struct work *w)
{
    if (!w)
        return;
    EVP_MD_CTX_free(w->digest);
    EVP_MAC_CTX_free(w->hmac);
    EVP_CIPHER_CTX_free(w->encrypt);
    EVP_CIPHER_CTX_free(w->decrypt);
    pack_release(w);
    buffer_free_secret(&w->scratch);
    free(w);
}

static bool set_up(struct work *w, struct codec *c)
{
    char sha256[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
        OSSL_PARAM_construct_end(),
    };
    w->codec = c;
    w->digest = EVP_MD_CTX_new();
    w->hmac = EVP_MAC_CTX_new(c->hmac);
    w->encrypt = EVP_CIPHER_CTX_new();
    w->decrypt = EVP_CIPHER_CTX_new();
    return w->digest && w->hmac && w->encrypt && w->decrypt &&
           EVP_MAC_CTX_set_params(w->hmac, params) == 1 &&
           EVP_EncryptInit_ex2(w->encrypt, c->aes_gcm, NULL, NULL, NULL) == 1 &&
           EVP_DecryptInit_ex2(w->decrypt, c->aes_gcm, NULL, NULL, NULL) == 1;
}

struct work *work_begin(struct codec *c)
{
    {
        LOCK_SCOPE(&c->lock);
        struct work *w = c->idle;
        if (w) {
            c->idle = w->next;
            return w;
        }
    }
    struct work *w = calloc(1, sizeof *w);
    if (w && !set_up(w, c)) {
        work_free(w);
        return NULL;
    }
    return w;
}

void work_end(struct work **w)
{
    if (!*w)
        return;
    struct codec *c = (*w)->codec;
    LOCK_SCOPE(&c->lock);
    (*w)->next = c->idle;
    c->idle = *w;
}

const struct codec_settings *work_settings(const struct work *w)
{
    return &w->codec->settings;
}

static bool settings_valid(const struct codec_settings *s)
{
    int highest = s->method == CODEC_ZSTD ? ZSTD_maxCLevel() : s->method == CODEC_ZLIB ? 9 : 0;
    return s->method <= CODEC_ZSTD && s->pad <= CODEC_PAD_PADME && s->level >= 0 &&
           (s->level <= highest || s->method == CODEC_STORED);
}

struct codec *codec_new(const struct codec_settings *settings)
{
    if (!settings_valid(settings)) {
        errno = EINVAL;
        return NULL;
    }
    struct codec *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    pthread_mutex_init(&c->lock, NULL);
    c->settings = *settings;
    c->sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    c->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    c->aes_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    if (!c->sha256 || !c->hmac || !c->aes_gcm) {
        codec_free(c);
        errno = ENOTSUP;
        return NULL;
    }
    return c;
}

void codec_free(struct codec *c)
{
    if (!c)
        return;
    while (c->idle) {
        struct work *w = c->idle;
        c->idle = w->next;
        work_free(w);
    }
    EVP_MD_free(c->sha256);
    EVP_MAC_free(c->hmac);
    EVP_CIPHER_free(c->aes_gcm);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static int work_digest(struct work *w, const void *data, size_t size, struct object_id *ret)
{
    if (EVP_DigestInit_ex2(w->digest, w->codec->sha256, NULL) != 1 ||
        EVP_DigestUpdate(w->digest, data, size) != 1 ||
        EVP_DigestFinal_ex(w->digest, ret->bytes, NULL) != 1)
        return -EIO;
    return 0;
}

static int work_hmac(struct work *w, const uint8_t key[32], const void *a, size_t a_size,
                     const void *b, size_t b_size, uint8_t ret[32])
{
    size_t length;
    if (EVP_MAC_init(w->hmac, key, 32, NULL) != 1 || EVP_MAC_update(w->hmac, a, a_size) != 1 ||
        EVP_MAC_update(w->hmac, b, b_size) != 1 || EVP_MAC_final(w->hmac, ret, &length, 32) != 1 ||
        length != 32)
        return -EIO;
    return 0;
}

int codec_digest(struct codec *c, const void *data, size_t size, struct object_id *ret)
{
    CLEANUP_WORK struct work *w = work_begin(c);
    return w ? work_digest(w, data, size, ret) : -ENOMEM;
}

int codec_hmac(struct codec *c, const uint8_t key[32], const void *a, size_t a_size, const void *b,
               size_t b_size, uint8_t ret[32])
{
    CLEANUP_WORK struct work *w = work_begin(c);
    return w ? work_hmac(w, key, a, a_size, b, b_size, ret) : -ENOMEM;
}

/* Encrypts PLAIN after AAD bytes, which stand at OUT already: to OUT + AAD, with the tag behind it.
 */
static int encrypt(struct work *w, const struct object_key *key, size_t aad, const void *plain,
                   size_t plain_size, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = w->encrypt;
    uint8_t *tag = out + aad + plain_size;
    int length;
    if (EVP_EncryptInit_ex2(ctx, NULL, key->bytes, zero_nonce, NULL) != 1 ||
        EVP_EncryptUpdate(ctx, NULL, &length, out, (int)aad) != 1)
        return -EIO;
    if (plain_size && (EVP_EncryptUpdate(ctx, out + aad, &length, plain, (int)plain_size) != 1 ||
                       (size_t)length != plain_size))
        return -EIO;
    if (EVP_EncryptFinal_ex(ctx, tag, &length) != 1 || length != 0 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, OBJECT_TAG_SIZE, tag) != 1)
        return -EIO;
    return 0;
}

int work_seal(struct work *w, const struct object_secret *secret, enum object_kind kind,
              const void *clear, size_t clear_size, const void *plain, size_t plain_size,
              struct buffer *out, struct object_ref *ret)
{
    const size_t room = OBJECT_SIZE_MAX - OBJECT_HEADER_SIZE - OBJECT_TAG_SIZE;
    if (clear_size > room || plain_size > room - clear_size)
        return -EFBIG;
    size_t aad = OBJECT_HEADER_SIZE + clear_size;
    int r = buffer_resize(out, aad + plain_size + OBJECT_TAG_SIZE);
    if (r < 0)
        return r;
    memcpy(out->data, magic, sizeof magic);
    out->data[4] = FORMAT;
    out->data[5] = (uint8_t)kind;
    out->data[6] = SUITE;
    out->data[7] = 0;
    if (clear_size)
        memcpy(out->data + OBJECT_HEADER_SIZE, clear, clear_size);
    r = work_hmac(w, secret->bytes, out->data, aad, plain, plain_size, ret->key.bytes);
    if (r == 0)
        r = encrypt(w, &ret->key, aad, plain, plain_size, out->data);
    if (r == 0)
        r = work_digest(w, out->data, out->size, &ret->id);
    if (r < 0)
        secret_wipe(ret, sizeof *ret);
    return r;
}

int codec_seal(struct codec *c, const struct object_secret *secret, enum object_kind kind,
               const void *clear, size_t clear_size, const void *plain, size_t plain_size,
               struct buffer *out, struct object_ref *ret)
{
    CLEANUP_WORK struct work *w = work_begin(c);
    if (!w)
        return -ENOMEM;
    return work_seal(w, secret, kind, clear, clear_size, plain, plain_size, out, ret);
}

int work_check_id(struct work *w, const struct object_id *id, const void *object, size_t size)
{
    struct object_id found;
    int r = work_digest(w, object, size, &found);
    if (r < 0)
        return r;
    return object_id_equal(id, &found) ? 0 : -EBADMSG;
}

int work_check_header(enum object_kind kind, const struct object_id *id, const void *object,
                      size_t size)
{
    const uint8_t *h = object;
    char what[64] = "";
    if (size < OBJECT_HEADER_SIZE + OBJECT_TAG_SIZE || size > OBJECT_SIZE_MAX)
        snprintf(what, sizeof what, "it has %zu bytes", size);
    else if (memcmp(h, magic, sizeof magic) != 0)
        snprintf(what, sizeof what, "it does not begin with ISRO");
    else if (h[4] != FORMAT)
        snprintf(what, sizeof what, "format %u is not known", h[4]);
    else if (h[6] != SUITE)
        snprintf(what, sizeof what, "suite %u is not known", h[6]);
    else if (h[5] != kind)
        snprintf(what, sizeof what, "it is of kind %u where kind %u must be", h[5], (unsigned)kind);
    else if (h[7] != 0)
        snprintf(what, sizeof what, "byte 7 is %u", h[7]);
    else
        return 0;
    char hex[OBJECT_ID_HEX + 1];
    object_id_to_hex(id, hex);
    log_error("object %s is refused: %s", hex, what);
    return -EBADMSG;
}

int codec_check(struct codec *c, enum object_kind kind, const struct object_id *id,
                const void *object, size_t size)
{
    CLEANUP_WORK struct work *w = work_begin(c);
    if (!w)
        return -ENOMEM;
    int r = work_check_id(w, id, object, size);
    return r < 0 ? r : work_check_header(kind, id, object, size);
}

/* The libcrypto part of work_open: true if the tag is right. */
static bool decrypt(struct work *w, const struct object_key *key, const uint8_t *object, size_t aad,
                    size_t plain_size, uint8_t *plain)
{
    EVP_CIPHER_CTX *ctx = w->decrypt;
    uint8_t tag[OBJECT_TAG_SIZE];
    uint8_t none[16];
    int length;
    memcpy(tag, object + aad + plain_size, sizeof tag);
    if (EVP_DecryptInit_ex2(ctx, NULL, key->bytes, zero_nonce, NULL) != 1 ||
        EVP_DecryptUpdate(ctx, NULL, &length, object, (int)aad) != 1)
        return false;
    if (plain_size && (EVP_DecryptUpdate(ctx, plain, &length, object + aad, (int)plain_size) != 1 ||
                       (size_t)length != plain_size))
        return false;
    return EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
           EVP_DecryptFinal_ex(ctx, none, &length) == 1;
}

int work_open(struct work *w, const struct object_key *key, const void *object, size_t size,
              size_t clear_size, void *plain)
{
    const size_t fixed = OBJECT_HEADER_SIZE + OBJECT_TAG_SIZE;
    if (size > OBJECT_SIZE_MAX || size < fixed || clear_size > size - fixed)
        return -EBADMSG;
    size_t plain_size = size - fixed - clear_size;
    if (decrypt(w, key, object, OBJECT_HEADER_SIZE + clear_size, plain_size, plain))
        return 0;
    if (plain_size)
        secret_wipe(plain, plain_size);
    return -EBADMSG;
}

int codec_open(struct codec *c, const struct object_key *key, const void *object, size_t size,
               size_t clear_size, void *plain)
{
    CLEANUP_WORK struct work *w = work_begin(c);
    return w ? work_open(w, key, object, size, clear_size, plain) : -ENOMEM;
}
