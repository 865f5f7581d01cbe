/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/salvage_fixture.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "isrfs/parcel/segment.h"
#include "tests/random.h"
#include "tests/unit/log_fixture.h"

uint8_t salvage_expected[SALVAGE_SIZE];

/* Writes random bytes; they are salvage_expected if KEPT. */
void salvage_write_at(struct fixture *f, uint64_t file, uint64_t offset, size_t size, bool kept)
{
    uint8_t *data = malloc(size);
    test_random_fill(&f->random, data, size);
    assert_int_equal(parcel_write(f->parcel, file, data, size, offset), size);
    if (kept)
        memcpy(salvage_expected + offset, data, size);
    free(data);
}

/* A file of four chunks, committed. Until the log is closed all is in segment 1. */
uint64_t salvage_make_disk(struct fixture *f)
{
    uint64_t disk = fixture_make(f, "disk.img");
    salvage_write_at(f, disk, 0, SALVAGE_SIZE, true);
    fixture_commit(f);
    return disk;
}

void salvage_spoil(struct fixture *f, unsigned segment, uint64_t offset, size_t size)
{
    char path[128];
    uint8_t bytes[8192];
    assert_true(size <= sizeof bytes);
    snprintf(path, sizeof path, "%s/log/%016x", f->path, segment);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, size, (off_t)offset), size);
    for (size_t i = 0; i < size; i++)
        bytes[i] ^= 0x5a;
    assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), size);
    close(fd);
}

void salvage_empty_segment(struct fixture *f, unsigned segment, uint64_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/log/%016x", f->path, segment);
    assert_int_equal(truncate(path, (off_t)size), 0);
    assert_int_equal(truncate(path, SEGMENT_SIZE), 0);
}

void salvage_remove_segment(struct fixture *f, unsigned segment)
{
    char name[32];
    snprintf(name, sizeof name, "log/%016x", segment);
    assert_int_equal(unlinkat(f->dirfd, name, 0), 0);
}

const struct log_damage *salvage_only_damage(struct fixture *f)
{
    const struct log_damage *all;
    assert_int_equal(site_log_damage(f->log, &all), 1);
    return all;
}

int salvage_open_log(struct fixture *f, bool salvage, bool give_up)
{
    struct site_log_config config = log_fixture_config(f->dirfd, f->codec);
    config.salvage = salvage;
    config.give_up = give_up;
    return site_log_open(&config, &f->log, NULL);
}

/* BASE may be NULL. */
int salvage_open_parcel(struct fixture *f, const struct object_ref *base)
{
    struct site_root root;
    assert_int_equal(site_log_newest_root(f->log, &root), 0);
    f->catalog = root.current;
    f->far.log = f->log;
    struct parcel_config config = fixture_config(f);
    config.salvage = true;
    config.base = base;
    return parcel_open(&config, &f->catalog, &f->parcel);
}

/* After a close: the log is refused, and opens with salvage. */
void salvage_open_damaged(struct fixture *f, const struct object_ref *base)
{
    assert_int_equal(salvage_open_log(f, false, false), -EBADMSG);
    assert_int_equal(salvage_open_log(f, true, true), 0);
    assert_int_equal(salvage_open_parcel(f, base), 0);
}

static int tell(void *ctx, const struct parcel_loss *loss)
{
    struct salvage_told *told = ctx;
    assert_true(told->count < 8);
    told->offset[told->count] = loss->offset;
    told->size[told->count] = loss->size;
    told->zeros[told->count] = loss->zeros;
    snprintf(told->path[told->count], sizeof told->path[0], "%s", loss->path ? loss->path : "?");
    told->bytes += loss->size;
    told->count++;
    return 0;
}

struct salvage_told salvage_losses(struct fixture *f)
{
    struct salvage_told told = {0};
    assert_int_equal(parcel_each_loss(f->parcel, tell, &told), 0);
    return told;
}

void salvage_assert_lost(struct fixture *f, uint64_t offset, uint64_t size, bool zeros)
{
    struct salvage_told told = salvage_losses(f);
    assert_int_equal(told.count, 1);
    assert_string_equal(told.path[0], "disk.img");
    assert_int_equal(told.offset[0], offset);
    assert_int_equal(told.size[0], size);
    assert_int_equal(told.zeros[0], zeros);
}

void salvage_assert_content(struct fixture *f, uint64_t file)
{
    uint8_t *data = malloc(SALVAGE_SIZE);
    assert_int_equal(parcel_read(f->parcel, file, data, SALVAGE_SIZE, 0), SALVAGE_SIZE);
    for (size_t i = 0; i < SALVAGE_SIZE; i += SALVAGE_BLOCK)
        if (memcmp(data + i, salvage_expected + i, SALVAGE_BLOCK) != 0)
            fail_msg("block %zu is wrong", i / SALVAGE_BLOCK);
    free(data);
}

uint64_t salvage_lost_operations(struct fixture *f)
{
    uint64_t operations, records;
    parcel_lost(f->parcel, &operations, &records);
    return operations;
}

/* Commits what was salvaged: from then on nothing that is needed is hurt. */
void salvage_assert_it_ends(struct fixture *f, uint64_t file)
{
    fixture_commit(f);
    salvage_assert_content(f, file);
    fixture_close(f);
    assert_int_equal(salvage_open_log(f, true, false), 0);
    const struct log_damage *all;
    for (size_t i = 0, count = site_log_damage(f->log, &all); i < count; i++)
        assert_false(all[i].newer);
    assert_int_equal(salvage_open_parcel(f, NULL), 0);
    assert_int_equal(salvage_losses(f).count, 0);
    assert_int_equal(salvage_lost_operations(f), 0);
    salvage_assert_content(f, file);
}
