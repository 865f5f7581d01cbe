/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/crash_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "isrfs/base/cleanup.h"
#include "tests/random.h"
#include "tests/unit/crash_disk.h"

const char *const crash_model_names[CRASH_MODEL_FILES] = {"disk.img", "mem.vmss", "mem.vmss.used",
                                                          "nvram", "mem.img"};

struct crash_step crash_model_step(uint64_t *random, unsigned files)
{
    static const int kinds[] = {CRASH_WRITE_BYTES, CRASH_WRITE_BYTES, CRASH_WRITE_BYTES,
                                CRASH_WRITE_BYTES, CRASH_WRITE_BYTES, CRASH_ZERO,
                                CRASH_TRUNCATE,    CRASH_MOVE,        CRASH_REMOVE};
    static const uint64_t sizes[] = {
        1, 512, 4096, 4096, 20000, CHUNK_SIZE_DEFAULT, 2 * CHUNK_SIZE_DEFAULT};
    struct crash_step s = {
        .kind = kinds[test_random(random) % (sizeof kinds / sizeof *kinds)],
        .name = (unsigned)(test_random(random) % (files + 1)),
        .other = (unsigned)(test_random(random) % files),
        .size = sizes[test_random(random) % (sizeof sizes / sizeof *sizes)],
        .byte = (uint8_t)(test_random(random) | 1),
    };
    if (s.name == files) /* the last one twice as often */
        s.name = files - 1;
    s.offset = test_random(random) % (CRASH_MODEL_SIZE - s.size);
    return s;
}

static void extend(struct crash_model_data *d, uint64_t size)
{
    if (size <= d->size)
        return;
    memset(d->bytes + d->size, 0, size - d->size);
    d->size = size;
}

/* Bytes that do not compress and differ from block to block. */
static void fill(uint8_t *data, uint64_t size, uint8_t byte)
{
    uint64_t random = byte;
    for (uint64_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i % 8 == 0 ? test_random(&random) >> 32 : data[i - 1] + byte);
}

static void copy(struct crash_model_data *to, const struct crash_model_data *from)
{
    to->size = from->size;
    memcpy(to->bytes, from->bytes, from->size);
}

static void create(struct crash_model_file *f, const char *name)
{
    f->there = true;
    f->is_volatile = catalog_name_is_volatile(name);
    f->stale = false;
    f->now.size = f->kept.size = 0;
}

static void change(struct crash_model_file *f, const struct crash_step *s)
{
    struct crash_model_data *d = &f->now;
    f->stale = false;
    if (s->kind == CRASH_WRITE_BYTES) {
        extend(d, s->offset + s->size);
        fill(d->bytes + s->offset, s->size, s->byte);
    } else if (s->kind == CRASH_ZERO && s->offset < d->size) {
        uint64_t left = d->size - s->offset;
        memset(d->bytes + s->offset, 0, s->size < left ? s->size : left);
    } else if (s->kind == CRASH_TRUNCATE) {
        extend(d, s->offset);
        d->size = s->offset;
    }
}

void crash_model_do(struct crash_model *m, const struct crash_step *s)
{
    struct crash_model_file *f = &m->files[s->name], *other = &m->files[s->other];
    if (s->kind == CRASH_REMOVE) {
        f->there = false;
    } else if (s->kind == CRASH_MOVE) {
        if (f->there && other != f) {
            *other = *f;
            f->there = false;
        }
    } else if (f->there) {
        change(f, s);
    } else if (s->kind == CRASH_WRITE_BYTES) {
        create(f, crash_model_names[s->name]);
    }
}

bool crash_model_stop(struct crash_model *m)
{
    bool fresh = true;
    for (unsigned i = 0; i < CRASH_MODEL_FILES; i++) {
        struct crash_model_file *f = &m->files[i];
        if (!f->there || !f->is_volatile)
            continue;
        fresh = fresh && !f->stale;
        copy(&f->kept, &f->now);
    }
    return fresh;
}

uint64_t crash_model_digest(const struct crash_model *m)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a, by words */
    for (unsigned i = 0; i < CRASH_MODEL_FILES; i++) {
        const struct crash_model_file *f = &m->files[i];
        const struct crash_model_data *d = f->is_volatile ? &f->kept : &f->now;
        h = (h ^ (f->there ? 2 * d->size + 1 + f->is_volatile : 0)) * 1099511628211u;
        for (uint64_t k = 0; f->there && k < d->size; k += 8) {
            uint64_t word = 0;
            memcpy(&word, d->bytes + k, d->size - k < 8 ? d->size - k : 8);
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

static bool read_file(struct parcel *p, const struct parcel_attr *attr, struct crash_model_file *f)
{
    uint64_t size = attr->size;
    if (size > CRASH_MODEL_SIZE)
        return false;
    f->is_volatile = parcel_is_volatile(p, attr->file_id);
    f->stale = f->is_volatile && !parcel_is_consistent(p);
    f->now.size = size;
    if (parcel_read(p, attr->file_id, f->now.bytes, size, 0) != (ssize_t)size)
        return false;
    if (f->is_volatile)
        copy(&f->kept, &f->now);
    return true;
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
        if (r < 0 || !read_file(p, &attr, f))
            return false;
    }
    *ret_digest = crash_model_digest(m);
    return true;
}
