/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sizes are small, middle and large in equal parts; a third of all places is aligned to blocks and
 * a sixth to chunks, since the edges between what is whole and what is in part are where mistakes
 * live. An op that does not fit the file becomes a read. */
#include "tests/exercise/op.h"

#include <inttypes.h>
#include <string.h>

#include "tests/random.h"

#define BLOCK 4096u
#define CHUNK (128u << 10)

/* splitmix64: no seed gives a bad generator. */
uint64_t op_random_seed(uint64_t seed)
{
    uint64_t z = seed + UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) | 1;
}

static enum op_kind make_kind(uint64_t *random, op_weights weights)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < OP_KINDS; i++)
        sum += weights[i];
    uint64_t at = test_random_below(random, sum);
    unsigned kind = 0;
    while (at >= weights[kind])
        at -= weights[kind++];
    return (enum op_kind)kind;
}

static uint64_t make_size(uint64_t *random)
{
    static const unsigned limits[] = {512, 512, 3 * BLOCK, 3 * BLOCK, CHUNK / 2, OP_SIZE_MAX};
    return 1 + test_random_below(random, limits[test_random_below(random, 6)]);
}

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void align(struct op *op, uint64_t unit)
{
    op->offset -= op->offset % unit;
    op->from -= op->from % unit;
    op->size = (op->size + unit - 1) / unit * unit;
}

/* A range in [0, LIMIT). */
static void fit(struct op *op, uint64_t limit)
{
    if (op->offset >= limit)
        op->offset = limit ? op->offset % limit : 0;
    op->size = min(op->size, limit - op->offset);
}

static void fit_copy(struct op *op, uint64_t file_size, uint64_t max)
{
    fit(op, max);
    op->from = file_size ? op->from % file_size : 0;
    op->size = min(op->size, file_size - op->from);
    uint64_t apart = op->from > op->offset ? op->from - op->offset : op->offset - op->from;
    op->size = min(op->size, apart);
}

/* Half of all sizes are near the one that the file has, so that it is rarely very small. */
static uint64_t make_file_size(uint64_t *random, uint64_t file_size, uint64_t max)
{
    if (test_random_below(random, 2))
        return test_random_below(random, max + 1);
    uint64_t low = file_size > OP_SIZE_MAX ? file_size - OP_SIZE_MAX : 0;
    return min(low + test_random_below(random, 3 * OP_SIZE_MAX), max);
}

struct op op_next(uint64_t *random, op_weights weights, uint64_t number, uint64_t file_size,
                  uint64_t max)
{
    struct op op = {
        .kind = make_kind(random, weights),
        .number = number,
        .offset = test_random_below(random, max),
        .from = test_random_below(random, max),
        .size = make_size(random),
    };
    uint64_t how = test_random_below(random, 6);
    if (how < 3)
        align(&op, how ? BLOCK : CHUNK);
    if (op.size > OP_SIZE_MAX)
        op.size = OP_SIZE_MAX;
    if (op.kind == OP_TRUNCATE) {
        op.offset = 0;
        op.size = make_file_size(random, file_size, max);
        return op;
    }
    if (op.kind == OP_COPY || op.kind == OP_COPY_RANGE)
        fit_copy(&op, file_size, max);
    else
        fit(&op, op.kind == OP_MAP_READ ? file_size : max);
    if (op.size == 0)
        op = (struct op){.kind = OP_READ, .number = number, .size = 1};
    return op;
}

static uint64_t word_at(const struct op *op, uint64_t offset)
{
    return op->number << 32 | (offset / 8 & UINT32_MAX);
}

void op_fill(const struct op *op, uint64_t offset, uint8_t *data, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        uint64_t word = word_at(op, offset + done), skip = (offset + done) % 8;
        uint64_t part = min(8 - skip, size - done);
        memcpy(data + done, (const uint8_t *)&word + skip, part);
        done += part;
    }
}

uint64_t op_stamp(const uint8_t *data, uint64_t offset)
{
    uint64_t word;
    memcpy(&word, data + offset / 8 * 8, sizeof word);
    return word >> 32;
}

void op_print(FILE *out, const struct op *op)
{
    static const char *const names[OP_KINDS] = {
        "read",     "write", "read direct", "write direct",   "read mapped",     "write mapped",
        "truncate", "punch", "zero",        "zero, may grow", "copy_file_range", "copy",
        "seek",     "fsync", "reopen",      "drop pages"};
    fprintf(out, "%8" PRIu64 "  %s", op->number, names[op->kind]);
    if (op->kind == OP_TRUNCATE)
        fprintf(out, " to 0x%" PRIx64, op->size);
    else if (op->kind < OP_FSYNC)
        fprintf(out, " 0x%" PRIx64 "..0x%" PRIx64, op->offset, op->offset + op->size);
    if (op->kind == OP_COPY || op->kind == OP_COPY_RANGE)
        fprintf(out, " from 0x%" PRIx64, op->from);
    putc('\n', out);
}
