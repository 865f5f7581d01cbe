/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/crash_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "isrfs/base/cleanup.h"
#include "tests/random.h"
#include "tests/unit/crash_disk.h"

const char *const crash_model_names[CRASH_MODEL_FILES] = {"disk.img", "mem.vmss", "mem.vmss.used",
                                                          "nvram"};

struct crash_step crash_model_step(uint64_t *random)
{
    static const int kinds[] = {CRASH_WRITE_BYTES, CRASH_WRITE_BYTES, CRASH_WRITE_BYTES,
                                CRASH_WRITE_BYTES, CRASH_WRITE_BYTES, CRASH_ZERO,
                                CRASH_TRUNCATE,    CRASH_MOVE,        CRASH_REMOVE};
    static const uint64_t sizes[] = {
        1, 512, 4096, 4096, 20000, CHUNK_SIZE_DEFAULT, 2 * CHUNK_SIZE_DEFAULT};
    struct crash_step s = {
        .kind = kinds[test_random(random) % (sizeof kinds / sizeof *kinds)],
        .name = (unsigned)(test_random(random) % CRASH_MODEL_FILES),
        .other = (unsigned)(test_random(random) % CRASH_MODEL_FILES),
        .size = sizes[test_random(random) % (sizeof sizes / sizeof *sizes)],
        .byte = (uint8_t)(test_random(random) | 1),
    };
    s.offset = test_random(random) % (CRASH_MODEL_SIZE - s.size);
    return s;
}

static void extend(struct crash_model_file *f, uint64_t size)
{
    if (size <= f->size)
        return;
    memset(f->data + f->size, 0, size - f->size);
    f->size = size;
}

/* Bytes that do not compress and differ from block to block. */
static void fill(uint8_t *data, uint64_t size, uint8_t byte)
{
    uint64_t random = byte;
    for (uint64_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i % 8 == 0 ? test_random(&random) >> 32 : data[i - 1] + byte);
}

static void truncate_file(struct crash_model_file *f, uint64_t size)
{
    extend(f, size);
    f->size = size;
}

void crash_model_do(struct crash_model *m, const struct crash_step *s)
{
    struct crash_model_file *f = &m->files[s->name];
    if (s->kind == CRASH_WRITE_BYTES && !f->there) {
        f->there = true;
        f->size = 0;
    } else if (s->kind == CRASH_WRITE_BYTES) {
        extend(f, s->offset + s->size);
        fill(f->data + s->offset, s->size, s->byte);
    } else if (f->there && s->kind == CRASH_ZERO && s->offset < f->size) {
        uint64_t left = f->size - s->offset;
        memset(f->data + s->offset, 0, s->size < left ? s->size : left);
    } else if (f->there && s->kind == CRASH_TRUNCATE) {
        truncate_file(f, s->offset);
    } else if (f->there && s->kind == CRASH_MOVE && s->other != s->name) {
        m->files[s->other] = *f;
        f->there = false;
    } else if (s->kind == CRASH_REMOVE) {
        f->there = false;
    }
}

uint64_t crash_model_digest(const struct crash_model *m)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a, by words */
    for (unsigned i = 0; i < CRASH_MODEL_FILES; i++) {
        const struct crash_model_file *f = &m->files[i];
        h = (h ^ (f->there ? f->size + 1 : 0)) * 1099511628211u;
        for (uint64_t k = 0; f->there && k < f->size; k += 8) {
            uint64_t word = 0;
            memcpy(&word, f->data + k, f->size - k < 8 ? f->size - k : 8);
            h = (h ^ word) * 1099511628211u;
            h ^= h >> 31;
        }
    }
    return h;
}

int crash_model_do_parcel(struct parcel *p, const struct crash_step *s)
{
    const char *name = crash_model_names[s->name];
    struct parcel_attr attr;
    int r = parcel_find(p, name, &attr);
    if (r == -ENOENT && s->kind == CRASH_WRITE_BYTES) {
        r = parcel_create(p, CATALOG_ROOT, name, 0600, &attr);
        if (r == 0)
            parcel_forget(p, attr.file_id, 1);
        return r;
    }
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    uint64_t id = attr.file_id;
    switch (s->kind) {
    case CRASH_WRITE_BYTES: {
        CLEANUP_FREE uint8_t *data = malloc(s->size);
        if (!data)
            return -ENOMEM;
        fill(data, s->size, s->byte);
        ssize_t n = parcel_write(p, id, data, s->size, s->offset);
        return n < 0 ? (int)n : 0;
    }
    case CRASH_ZERO:
        return parcel_zero(p, id, s->offset, s->size, true);
    case CRASH_TRUNCATE:
        return parcel_truncate(p, id, s->offset);
    case CRASH_MOVE:
        if (s->other == s->name)
            return 0;
        return parcel_rename(p, CATALOG_ROOT, name, CATALOG_ROOT, crash_model_names[s->other],
                             false);
    default:
        return parcel_unlink(p, CATALOG_ROOT, name);
    }
}

bool crash_model_read(struct parcel *p, struct crash_model *m, uint64_t *ret_digest)
{
    for (unsigned i = 0; i < CRASH_MODEL_FILES; i++) {
        struct parcel_attr attr;
        struct crash_model_file *f = &m->files[i];
        int r = parcel_find(p, crash_model_names[i], &attr);
        f->there = r == 0;
        if (r == -ENOENT)
            continue;
        if (r < 0 || attr.size > CRASH_MODEL_SIZE)
            return false;
        f->size = attr.size;
        if (parcel_read(p, attr.file_id, f->data, attr.size, 0) != (ssize_t)attr.size)
            return false;
    }
    *ret_digest = crash_model_digest(m);
    return true;
}
