/* SPDX-License-Identifier: GPL-3.0-or-later */
/* In a file of its own: it is what makes a program load libcrypto. */
#include <openssl/rand.h>

#include "isrfs/base/secret.h"

int random_bytes(void *out, size_t size)
{
    uint8_t *at = out;
    while (size > 0) {
        int part = size > (1u << 20) ? 1 << 20 : (int)size;
        if (RAND_bytes(at, part) != 1)
            return -EIO;
        at += part;
        size -= (size_t)part;
    }
    return 0;
}
