/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each secret_alloc is a mapping of its own: a small header with the size, then the bytes. Locking
 * may fail where the limit (RLIMIT_MEMLOCK) is low; that is no reason to refuse work. Nothing here
 * needs libcrypto, so that small programs need not load it (random.c does). */
#include "isrfs/base/secret.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define HEADER 64 /* keeps the bytes aligned for anything */

void *secret_alloc(size_t size)
{
    if (size > SIZE_MAX - HEADER) {
        errno = ENOMEM;
        return NULL;
    }
    size_t whole = size + HEADER;
    uint8_t *map = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        errno = ENOMEM;
        return NULL;
    }
    int saved = errno;
    mlock(map, whole);
    madvise(map, whole, MADV_DONTDUMP);
    madvise(map, whole, MADV_WIPEONFORK);
    errno = saved;
    *(size_t *)(void *)map = whole;
    return map + HEADER;
}

void secret_free(void *p)
{
    if (!p)
        return;
    int saved = errno;
    uint8_t *map = (uint8_t *)p - HEADER;
    size_t whole = *(size_t *)(void *)map;
    explicit_bzero(map, whole);
    munmap(map, whole);
    errno = saved;
}

void secret_wipe(void *p, size_t size)
{
    explicit_bzero(p, size);
}

bool secret_equal(const void *a, const void *b, size_t size)
{
    const volatile uint8_t *left = a, *right = b;
    uint8_t different = 0;
    for (size_t i = 0; i < size; i++)
        different |= left[i] ^ right[i];
    return different == 0;
}

void secret_protect_process(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}
