/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Random numbers for tests: the same ones for the same seed. */
#ifndef ISRFS_TESTS_RANDOM_H
#define ISRFS_TESTS_RANDOM_H

#include <stdint.h>

/* xorshift64* (Vigna 2016); the state is never 0. */
static inline uint64_t test_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

#endif
