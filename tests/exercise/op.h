/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The operations of the exerciser, made at random by seed. What is made depends on nothing but the
 * generator, the weights and the size that the file has by then, so that a run can be made again
 * without the file. */
#ifndef ISRFS_TESTS_EXERCISE_OP_H
#define ISRFS_TESTS_EXERCISE_OP_H

#include <stdint.h>
#include <stdio.h>

enum op_kind {
    OP_READ,
    OP_WRITE,
    OP_DIRECT_READ, /* O_DIRECT */
    OP_DIRECT_WRITE,
    OP_MAP_READ,
    OP_MAP_WRITE, /* grows the file first */
    OP_TRUNCATE,  /* to `size` */
    OP_PUNCH,
    OP_ZERO,       /* keeps the size */
    OP_ZERO_GROW,  /* does not */
    OP_COPY_RANGE, /* copy_file_range from `from` to `offset`, which do not overlap */
    OP_COPY,       /* likewise, by read and write */
    OP_SEEK,       /* SEEK_DATA and SEEK_HOLE from `offset` */
    OP_FSYNC,
    OP_REOPEN,
    OP_DROP, /* has the kernel write and forget its pages of the file */
    OP_KINDS
};

struct op {
    enum op_kind kind;
    uint64_t number; /* from 1 on: the stamp of what it writes */
    uint64_t offset, size, from;
};

/* How often each kind is made, out of the sum of all. */
typedef const unsigned op_weights[OP_KINDS];

/* At most this much is read or written by one. */
#define OP_SIZE_MAX (192u << 10)

uint64_t op_random_seed(uint64_t seed);

/* The next one, for a file of FILE_SIZE bytes that may grow to MAX. */
struct op op_next(uint64_t *random, op_weights weights, uint64_t number, uint64_t file_size,
                  uint64_t max);

/* What it writes at OFFSET: each word of 8 bytes has the op's number and the word's own place. */
void op_fill(const struct op *op, uint64_t offset, uint8_t *data, uint64_t size);
/* The number of the op that wrote the word at OFFSET of DATA, which begins at a multiple of 8. */
uint64_t op_stamp(const uint8_t *data, uint64_t offset);

void op_print(FILE *out, const struct op *op);

#endif
