/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Block n is at n * SLOT_SIZE: its cipher text and the tag. The GCM nonce is a number that only
 * grows, so that none is ever used twice with the key, however often a block is written over. The
 * number is not stored: who reads must know it, so an older text of the block is no good either.
 * The AAD is the block's place. The key is random, in secret memory, and dies with the process. */
#include "isrfs/parcel/spill.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "isrfs/base/cleanup.h"
#include "isrfs/base/io.h"
#include "isrfs/base/secret.h"
#include "isrfs/codec/aead.h"

#define BLOCK     4096u
#define SLOT_SIZE (BLOCK + AEAD_TAG_SIZE)

struct spill {
    int fd;
    uint8_t *key; /* secret memory */
    struct aead *aead;
    _Atomic uint64_t next; /* number */
};

static void cleanup_spill(struct spill **s)
{
    spill_free(*s);
}

/* Without a name: what is in it goes with the process. A kill right here may leave an empty file.
 */
static int make_file(int dirfd)
{
    uint8_t random[8];
    char name[32];
    int r = random_bytes(random, sizeof random);
    if (r < 0)
        return r;
    snprintf(name, sizeof name, ".spill-%016" PRIx64, get_u64(random));
    int fd = io_create(dirfd, name, 0, 0600);
    if (fd < 0)
        return fd;
    r = io_unlink(dirfd, name);
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

int spill_new(int dirfd, struct spill **ret)
{
    CLEANUP(cleanup_spill) struct spill *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->fd = -1;
    s->next = 1;
    s->key = secret_alloc(AEAD_KEY_SIZE);
    s->aead = aead_new();
    if (!s->key || !s->aead)
        return -ENOMEM;
    int r = random_bytes(s->key, AEAD_KEY_SIZE);
    if (r < 0)
        return r;
    s->fd = make_file(dirfd);
    if (s->fd < 0)
        return s->fd;
    *ret = steal_ptr(s);
    return 0;
}

void spill_free(struct spill *s)
{
    if (!s)
        return;
    cleanup_close(&s->fd);
    secret_free(s->key);
    aead_free(s->aead);
    free(s);
}

int spill_reserve(struct spill *s, uint64_t count)
{
    if (count > INT64_MAX / SLOT_SIZE)
        return -EFBIG;
    int r = count > 0 ? io_allocate(s->fd, (off_t)(count * SLOT_SIZE)) : 0;
    return r == -EOPNOTSUPP ? 0 : r;
}

static void fill(uint64_t block, uint64_t number, uint8_t aad[8], uint8_t nonce[AEAD_NONCE_SIZE])
{
    memset(nonce, 0, AEAD_NONCE_SIZE);
    put_u64(nonce, number);
    put_u64(aad, block);
}

int spill_write(struct spill *s, uint64_t first, const uint8_t *data, unsigned count,
                uint64_t *ret_number)
{
    CLEANUP_BUFFER struct buffer out = {0};
    int r = buffer_resize(&out, (size_t)count * SLOT_SIZE);
    uint64_t number = atomic_fetch_add(&s->next, count);
    for (unsigned i = 0; r == 0 && i < count; i++) {
        uint8_t aad[8], nonce[AEAD_NONCE_SIZE], *slot = out.data + (size_t)i * SLOT_SIZE;
        fill(first + i, number + i, aad, nonce);
        r = aead_seal(s->aead, s->key, nonce, aad, sizeof aad, data + (size_t)i * BLOCK, BLOCK,
                      slot, slot + BLOCK);
    }
    *ret_number = number;
    return r < 0 ? r : io_pwrite(s->fd, out.data, out.size, (off_t)(first * SLOT_SIZE));
}

int spill_read(struct spill *s, uint64_t block, uint64_t number, uint8_t *data)
{
    uint8_t slot[SLOT_SIZE], aad[8], nonce[AEAD_NONCE_SIZE];
    ssize_t n = io_pread(s->fd, slot, sizeof slot, (off_t)(block * SLOT_SIZE));
    if (n < 0)
        return (int)n;
    if (n != sizeof slot)
        return -EBADMSG;
    fill(block, number, aad, nonce);
    return aead_open(s->aead, s->key, nonce, aad, sizeof aad, slot, BLOCK, slot + BLOCK, data);
}
