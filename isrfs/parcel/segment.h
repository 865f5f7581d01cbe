/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One segment of the site log: a file of encrypted records, written once from front to back by the
 * process that created it. Private to the site log. The bytes are in doc/format.md. */
#ifndef ISRFS_PARCEL_SEGMENT_H
#define ISRFS_PARCEL_SEGMENT_H

#include "isrfs/base/buffer.h"
#include "isrfs/codec/aead.h"
#include "isrfs/codec/codec.h"

#define SEGMENT_SIZE      (64u << 20) /* bytes reserved for each file */
#define SEGMENT_SALT_SIZE 32u
#define SEGMENT_HEADER_SIZE                                                                        \
    4096u /* of which SEGMENT_HEADER_USED say something, the rest is zero                          \
           */
#define SEGMENT_HEADER_USED   112u
#define SEGMENT_FRAME_SIZE    16u /* before the cipher text of a record */
#define SEGMENT_PREAMBLE_SIZE 24u /* at the front of a record's plain text */
#define SEGMENT_OVERHEAD      (SEGMENT_FRAME_SIZE + SEGMENT_PREAMBLE_SIZE + AEAD_TAG_SIZE)
#define SEGMENT_PAYLOAD_MAX   (OBJECT_SIZE_MAX + 64u)

enum record_type {
    RECORD_PADDING = 0,
    RECORD_FILE = 1,   /* operations on files */
    RECORD_BLOCKS = 2, /* blocks that were written */
    RECORD_OBJECT = 3,
    RECORD_ROOT = 4,
};

/* So many records of that segment were known to be on disk. */
struct flush_point {
    uint64_t segment, records;
};

/* What all segments of a log share. */
struct segment_keys {
    const struct aead *aead;
    struct codec *codec;
    const uint8_t *session_key; /* 32 bytes, in secret memory */
    const char *identity;
};

struct segment; /* immutable but for what its writer keeps */

/* Makes the file, its space reserved and its header and name on disk. PREVIOUS may be NULL (the
 * first). 0, -ENOSPC with nothing left behind, ... */
int segment_create(const struct segment_keys *keys, int dirfd, uint64_t number,
                   const struct segment *previous, struct segment **ret);

/* Opens a file that another process wrote. -EBADMSG for a file that is too short or whose header
 * was never written; -EKEYREJECTED for a header that was not made with this key (or is damaged). */
int segment_open(const struct segment_keys *keys, int dirfd, uint64_t number, struct segment **ret);
void segment_free(struct segment *s);

uint64_t segment_number(const struct segment *s);
/* Was S made with PREVIOUS as the one before it? */
bool segment_follows(const struct segment *s, const struct segment *previous);

/* Writes record RECORD at OFFSET: PAYLOAD is HEAD and then BODY. Any number of threads, each with
 * an offset and a number of its own. */
int segment_write(const struct segment_keys *keys, struct segment *s, uint64_t offset,
                  uint64_t record, enum record_type type, struct flush_point flushed,
                  const void *head, size_t head_size, const void *body, size_t body_size);
/* Bytes that such a record takes. */
uint64_t segment_record_size(size_t payload_size);

int segment_flush(struct segment *s);

struct segment_record {
    uint64_t offset, record;
    enum record_type type;
    struct flush_point flushed;
    const uint8_t *payload; /* inside the buffer it was read into */
    size_t size;
};

/* Reads the record at OFFSET into BUFFER. 0; -ENODATA where nothing was written; -EBADMSG if it is
 * damaged or torn. */
int segment_read(const struct segment_keys *keys, const struct segment *s, uint64_t offset,
                 uint64_t record, struct buffer *buffer, struct segment_record *ret);

#endif
