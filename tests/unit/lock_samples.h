/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Words for tests of what is said to a lock server. */
#ifndef ISRFS_TESTS_LOCK_SAMPLES_H
#define ISRFS_TESTS_LOCK_SAMPLES_H

#include "lockclient/lockclient.h"

#define HEX32 "0123456789abcdef0123456789abcdef"
#define NONCE "1700000000-1-1-" HEX32
#define OTHER "1700000001-1-1-fedcba9876543210fedcba9876543210"

static const uint8_t keyroot_a[LOCKCLIENT_KEYROOT_SIZE] = {1, 2, 3};

static inline struct lockclient_create a_create(void)
{
    return (struct lockclient_create){
        .version = {.keyroot = keyroot_a, .size = 1000, .newbytes = 500},
        .uuid = HEX32,
        .store = HEX32,
        .src = "FILE:///srv/my parcels",
    };
}

#endif
