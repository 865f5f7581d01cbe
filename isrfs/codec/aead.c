/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The algorithm is fetched once, which is what costs; a context for each call keeps threads apart.
 */
#include "isrfs/codec/aead.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/secret.h"

struct aead {
    EVP_CIPHER *cipher;
};

static void cleanup_context(EVP_CIPHER_CTX **ctx)
{
    EVP_CIPHER_CTX_free(*ctx);
}

struct aead *aead_new(void)
{
    struct aead *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    if (!a->cipher) {
        free(a);
        errno = ENOTSUP;
        return NULL;
    }
    return a;
}

void aead_free(struct aead *a)
{
    if (a)
        EVP_CIPHER_free(a->cipher);
    free(a);
}

int aead_seal_parts(const struct aead *a, const uint8_t key[AEAD_KEY_SIZE],
                    const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aad_size,
                    const struct iovec *plain, size_t parts, uint8_t *cipher,
                    uint8_t tag[AEAD_TAG_SIZE])
{
    CLEANUP(cleanup_context) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;
    if (!ctx || aad_size > INT_MAX || EVP_EncryptInit_ex2(ctx, a->cipher, key, nonce, NULL) != 1 ||
        EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_size) != 1)
        return -EIO;
    for (size_t i = 0; i < parts; i++) {
        if (plain[i].iov_len > INT_MAX ||
            EVP_EncryptUpdate(ctx, cipher, &n, plain[i].iov_base, (int)plain[i].iov_len) != 1)
            return -EIO;
        cipher += n;
    }
    if (EVP_EncryptFinal_ex(ctx, cipher, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, tag) != 1)
        return -EIO;
    return 0;
}

int aead_seal(const struct aead *a, const uint8_t key[AEAD_KEY_SIZE],
              const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aad_size,
              const void *plain, size_t size, uint8_t *cipher, uint8_t tag[AEAD_TAG_SIZE])
{
    const struct iovec whole = {(void *)(uintptr_t)plain, size};
    return aead_seal_parts(a, key, nonce, aad, aad_size, &whole, 1, cipher, tag);
}

int aead_open(const struct aead *a, const uint8_t key[AEAD_KEY_SIZE],
              const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aad_size,
              const void *cipher, size_t size, const uint8_t tag[AEAD_TAG_SIZE], uint8_t *plain)
{
    CLEANUP(cleanup_context) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;
    if (!ctx || aad_size > INT_MAX || size > INT_MAX ||
        EVP_DecryptInit_ex2(ctx, a->cipher, key, nonce, NULL) != 1 ||
        EVP_DecryptUpdate(ctx, NULL, &n, aad, (int)aad_size) != 1 ||
        EVP_DecryptUpdate(ctx, plain, &n, cipher, (int)size) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, (void *)(uintptr_t)tag) !=
            1 ||
        EVP_DecryptFinal_ex(ctx, plain + n, &n) != 1) {
        secret_wipe(plain, size);
        return -EBADMSG;
    }
    return 0;
}
