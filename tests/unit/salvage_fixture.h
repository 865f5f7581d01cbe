/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A parcel with one file, the bytes that are expected of it, and ways to damage its log and to open
 * what is left; on top of parcel_fixture.h. */
#ifndef ISRFS_TESTS_SALVAGE_FIXTURE_H
#define ISRFS_TESTS_SALVAGE_FIXTURE_H

#include "tests/unit/parcel_fixture.h"

#define SALVAGE_BLOCK 4096u
#define SALVAGE_SIZE  (4u * CHUNK) /* of the file */

/* What the file is to be. */
extern uint8_t salvage_expected[SALVAGE_SIZE];

/* A file of four chunks, committed. Until the log is closed all is in segment 1. */
uint64_t salvage_make_disk(struct fixture *f);
/* Writes random bytes; they are expected if KEPT. */
void salvage_write_at(struct fixture *f, uint64_t file, uint64_t offset, size_t size, bool kept);

/* Changes bytes of a segment's file. */
void salvage_spoil(struct fixture *f, unsigned segment, uint64_t offset, size_t size);
/* Only its first SIZE bytes are left, and zeros. */
void salvage_empty_segment(struct fixture *f, unsigned segment, uint64_t size);
void salvage_remove_segment(struct fixture *f, unsigned segment);
int salvage_open_log(struct fixture *f, bool salvage, bool give_up);
/* With salvage; BASE may be NULL. */
int salvage_open_parcel(struct fixture *f, const struct object_ref *base);
/* After a close: the log is refused, and opens with salvage. */
void salvage_open_damaged(struct fixture *f, const struct object_ref *base);

/* The one place at which the log is damaged. */
const struct log_damage *salvage_only_damage(struct fixture *f);

/* What is told of losses. */
struct salvage_told {
    unsigned count;
    uint64_t bytes, offset[8], size[8];
    bool zeros[8];
    char path[8][32];
};
struct salvage_told salvage_losses(struct fixture *f);
/* It is this one range of the file. */
void salvage_assert_lost(struct fixture *f, uint64_t offset, uint64_t size, bool zeros);
uint64_t salvage_lost_operations(struct fixture *f);
void salvage_assert_content(struct fixture *f, uint64_t file);
/* Commits what was salvaged: from then on nothing that is needed is hurt. */
void salvage_assert_it_ends(struct fixture *f, uint64_t file);

#endif
