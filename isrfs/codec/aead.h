/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AES-256-GCM (NIST SP 800-38D) with a key and a nonce that the caller chooses: for the site log,
 * whose records are not objects. A nonce must never be used twice with one key. Any thread may
 * call. */
#ifndef ISRFS_CODEC_AEAD_H
#define ISRFS_CODEC_AEAD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define AEAD_KEY_SIZE   32u
#define AEAD_NONCE_SIZE 12u
#define AEAD_TAG_SIZE   16u

struct aead;

/* Fetches the algorithm. NULL with errno ENOTSUP or ENOMEM. */
struct aead *aead_new(void);
void aead_free(struct aead *a);

/* Encrypts SIZE bytes of PLAIN to CIPHER (which may be the same place) and gives the tag, which
 * also vouches for the AAD bytes. 0 or -EIO. */
int aead_seal(const struct aead *a, const uint8_t key[AEAD_KEY_SIZE],
              const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aad_size,
              const void *plain, size_t size, uint8_t *cipher, uint8_t tag[AEAD_TAG_SIZE]);

/* Likewise; the plain text is in PARTS pieces, which do not overlap CIPHER. */
int aead_seal_parts(const struct aead *a, const uint8_t key[AEAD_KEY_SIZE],
                    const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aad_size,
                    const struct iovec *plain, size_t parts, uint8_t *cipher,
                    uint8_t tag[AEAD_TAG_SIZE]);

/* The reverse. 0, or -EBADMSG (PLAIN is wiped) when key, nonce, AAD, cipher text and tag do not
 * belong together. */
int aead_open(const struct aead *a, const uint8_t key[AEAD_KEY_SIZE],
              const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aad_size,
              const void *cipher, size_t size, const uint8_t tag[AEAD_TAG_SIZE], uint8_t *plain);

#endif
