/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One segment of the site log: a file of encrypted records, written once from front to back by the
 * process that created it. Private to the site log. The bytes are in doc/format.md.
 *
 * Who creates a segment has its image in memory: records are sealed into it, any number of them
 * side by side, and ranges of it are written to the file. What is not known to be on disk stays in
 * the image, so that it can be written anew elsewhere when the disk fails. */
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
#define SEGMENT_HEADER_USED   120u
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
    RECORD_FLOOR = 5, /* the oldest segment that is still needed */
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

/* Makes the file, its space reserved and its header and name on disk, and an empty image. PREVIOUS
 * (NULL for the first) is the one before it, of whose records the first PREVIOUS_RECORDS count;
 * they must be on disk. 0, -ENOSPC, ... with nothing left behind; -EUCLEAN: a power loss may bring
 * it back, so nothing may be appended to PREVIOUS. */
enum segment_flags {
    SEGMENT_HIDDEN = 1, /* it has no name that counts until segment_show */
    SEGMENT_SPARE = 2,  /* what was set aside (segment_space.h) is used where there is no space */
};
int segment_create(const struct segment_keys *keys, int dirfd, uint64_t number,
                   const struct segment *previous, uint64_t previous_records, unsigned flags,
                   struct segment **ret);
/* Gives a hidden one its name, durably: all or nothing of what was flushed before. */
int segment_show(int dirfd, uint64_t number);

/* Opens a file that another process wrote. -EBADMSG for a file that is too short or whose header
 * was never written; -EKEYREJECTED for a header that was not made with this key (or is damaged). */
int segment_open(const struct segment_keys *keys, int dirfd, uint64_t number, struct segment **ret);
void segment_free(struct segment *s);
/* Lets go of all but its number, for good; and whether that was done. */
void segment_close(struct segment *s);
bool segment_is_closed(const struct segment *s);
/* Removes the file of that number; its segment may be open. -ENOENT if there is none. */
int segment_remove(int dirfd, uint64_t number);
/* Likewise for one that is hidden. */
int segment_remove_hidden(int dirfd, uint64_t number);

uint64_t segment_number(const struct segment *s);
/* Bytes of its file: so far records may go. SEGMENT_SIZE but on a full disk. */
uint64_t segment_size(const struct segment *s);
/* Was S made with PREVIOUS as the one before it? How many records of that one count? */
bool segment_follows(const struct segment *s, const struct segment *previous);
uint64_t segment_previous_records(const struct segment *s);

/* What goes into a record: pieces of memory, at most SEGMENT_PARTS_MAX, one after the other. */
#define SEGMENT_PARTS_MAX 514u
struct segment_payload {
    const struct iovec *parts;
    size_t count;
    size_t size; /* bytes, of all */
};

/* Seals record RECORD into the image at OFFSET. Any number of threads, each with an offset and a
 * number of its own. */
int segment_seal(const struct segment_keys *keys, const struct segment *s, uint64_t offset,
                 uint64_t record, enum record_type type, struct flush_point flushed,
                 const struct segment_payload *payload);
/* Bytes that such a record takes. */
uint64_t segment_record_size(size_t payload_size);

/* The offset of record RECORD of the file, all before it being good. -EBADMSG. */
int segment_find(const struct segment *s, uint64_t record, uint64_t *ret_offset);

/* Bytes of the record at OFFSET of the image, whether or not it was sealed well. */
uint64_t segment_image_record(const struct segment *s, uint64_t offset);

/* Writes the image's bytes FROM to TO - 1 to the file; flushes the file. */
int segment_write(const struct segment *s, uint64_t from, uint64_t to);
int segment_flush(const struct segment *s);
/* Lets go of the image's memory before END, and of all of it. */
void segment_release(struct segment *s, uint64_t end);
void segment_drop_image(struct segment *s);

struct segment_record {
    uint64_t offset, record;
    enum record_type type;
    struct flush_point flushed;
    const uint8_t *payload; /* inside the buffer it was read into */
    size_t size;
};

/* Reads the record at OFFSET of the file, or of the image, into BUFFER. 0; -ENODATA where nothing
 * was written; -EBADMSG if it is damaged or torn. */
int segment_read(const struct segment_keys *keys, const struct segment *s, uint64_t offset,
                 uint64_t record, struct buffer *buffer, struct segment_record *ret);
int segment_read_image(const struct segment_keys *keys, const struct segment *s, uint64_t offset,
                       uint64_t record, struct buffer *buffer, struct segment_record *ret);

#endif
