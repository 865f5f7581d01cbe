/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Random numbers for tests: the same ones for the same seed. */
#ifndef ISRFS_TESTS_RANDOM_H
#define ISRFS_TESTS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* xorshift64* (Vigna 2016); the state is never 0. */
static inline uint64_t test_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

/* Less than LIMIT, or 0. */
static inline uint64_t test_random_below(uint64_t *state, uint64_t limit)
{
    return limit ? (test_random(state) >> 8) % limit : 0;
}

static inline void test_random_fill(uint64_t *state, uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(test_random(state) >> 56);
}

#endif
