/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A segment begins with 32 random bytes. Its key is HMAC(session key, purpose, identity, those
 * bytes), so that a record's number within the segment can be the GCM nonce: nobody appends to a
 * segment that it did not create in this process, and so no number is used twice under one key.
 * Each record vouches (AAD) for the segment's own header, which names the segment before it, and
 * for its number and length.
 *
 *   header  "ISRL", format u8, 3 zeros, number u64, salt 32, salt of the segment before 32, how
 *           many of its records count u64, HMAC of all that 32 (so that a wrong key is never taken
 *           for an empty segment)
 *   record  length u32, zero u32, number u64 | cipher text of LENGTH bytes | tag 16
 *   plain   type u8, 7 zeros, flushed segment u64, flushed records u64 | payload */
#include "isrfs/parcel/segment.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "isrfs/parcel/segment_space.h"

#define PURPOSE             "isrfs site log 1\n"
#define PREVIOUS_RECORDS_AT 80
#define HEADER_MAC_AT       88

struct segment {
    uint64_t number;
    int fd;
    uint64_t size; /* bytes of the file, reserved ones too */
    uint8_t header[SEGMENT_HEADER_USED];
    uint8_t *key;      /* AEAD_KEY_SIZE, secret memory */
    uint8_t *image;    /* SEGMENT_SIZE bytes, or NULL; what is sealed is no secret */
    uint64_t released; /* the writer's; the image is gone before this offset */
};

static const uint8_t *salt_of(const struct segment *s)
{
    return s->header + 16;
}

static const uint8_t *previous_salt_of(const struct segment *s)
{
    return s->header + 48;
}

static void file_name(char out[32], uint64_t number)
{
    snprintf(out, 32, "%016" PRIx64, number);
}

static void hidden_name(char out[32], uint64_t number)
{
    snprintf(out, 32, "%016" PRIx64 ".new", number);
}

static void cleanup_segment(struct segment **s)
{
    segment_free(*s);
}

void segment_close(struct segment *s)
{
    segment_drop_image(s);
    cleanup_close(&s->fd);
    s->fd = -1;
    secret_free(s->key);
    s->key = NULL;
}

bool segment_is_closed(const struct segment *s)
{
    return s->fd < 0;
}

void segment_free(struct segment *s)
{
    if (!s)
        return;
    segment_close(s);
    free(s);
}

int segment_remove(int dirfd, uint64_t number)
{
    char name[32];
    file_name(name, number);
    return io_unlink(dirfd, name);
}

int segment_remove_hidden(int dirfd, uint64_t number)
{
    char name[32];
    hidden_name(name, number);
    return io_unlink(dirfd, name);
}

int segment_show(int dirfd, uint64_t number)
{
    char from[32], to[32];
    hidden_name(from, number);
    file_name(to, number);
    int r = io_rename(dirfd, from, dirfd, to);
    return r < 0 ? r : io_fsync_dir(dirfd, ".");
}

uint64_t segment_number(const struct segment *s)
{
    return s->number;
}

uint64_t segment_size(const struct segment *s)
{
    return s->size;
}

bool segment_follows(const struct segment *s, const struct segment *previous)
{
    return memcmp(previous_salt_of(s), salt_of(previous), SEGMENT_SALT_SIZE) == 0;
}

uint64_t segment_previous_records(const struct segment *s)
{
    return get_u64(s->header + PREVIOUS_RECORDS_AT);
}

static struct segment *segment_alloc(uint64_t number)
{
    struct segment *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->number = number;
    s->fd = -1;
    s->key = secret_alloc(AEAD_KEY_SIZE);
    if (!s->key) {
        free(s);
        return NULL;
    }
    return s;
}

static int header_mac(const struct segment_keys *keys, const struct segment *s, uint8_t mac[32])
{
    static const char what[] = "header";
    return codec_hmac(keys->codec, s->key, what, sizeof what, s->header, HEADER_MAC_AT, mac);
}

static int derive_key(const struct segment_keys *keys, struct segment *s)
{
    CLEANUP_BUFFER struct buffer purpose = {0};
    int r = buffer_append_text(&purpose, PURPOSE);
    r = r < 0 ? r : buffer_append_text(&purpose, keys->identity);
    r = r < 0 ? r : buffer_append_text(&purpose, "\n");
    if (r < 0)
        return r;
    return codec_hmac(keys->codec, keys->session_key, purpose.data, purpose.size, salt_of(s),
                      SEGMENT_SALT_SIZE, s->key);
}

/* A file that is to have no header after all must be gone for good, for the header may come to the
 * disk later, and says how many records of the segment before count. */
static int remove_again(int dirfd, const char *name, int error)
{
    int r = io_unlink(dirfd, name);
    r = r < 0 ? r : io_fsync_dir(dirfd, ".");
    return r < 0 ? -EUCLEAN : error;
}

static int write_header(const struct segment *s, int dirfd, const char *name)
{
    uint8_t block[SEGMENT_HEADER_SIZE] = {0};
    memcpy(block, s->header, sizeof s->header);
    int r = io_pwrite(s->fd, block, sizeof block, 0);
    r = r < 0 ? r : io_fsync(s->fd);
    r = r < 0 ? r : io_fsync_dir(dirfd, ".");
    return r < 0 ? remove_again(dirfd, name, r) : 0;
}

static int make_image(struct segment *s)
{
    void *image = mmap(NULL, SEGMENT_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (image == MAP_FAILED)
        return -ENOMEM;
    s->image = image;
    return 0;
}

int segment_create(const struct segment_keys *keys, int dirfd, uint64_t number,
                   const struct segment *previous, uint64_t previous_records, unsigned flags,
                   struct segment **ret)
{
    CLEANUP(cleanup_segment) struct segment *s = segment_alloc(number);
    if (!s)
        return -ENOMEM;
    memcpy(s->header, "ISRL", 4);
    s->header[4] = 1;
    put_u64(s->header + 8, number);
    put_u64(s->header + PREVIOUS_RECORDS_AT, previous_records);
    int r = random_bytes(s->header + 16, SEGMENT_SALT_SIZE);
    if (previous)
        memcpy(s->header + 48, salt_of(previous), SEGMENT_SALT_SIZE);
    r = r < 0 ? r : derive_key(keys, s);
    r = r < 0 ? r : header_mac(keys, s, s->header + HEADER_MAC_AT);
    r = r < 0 ? r : make_image(s);
    if (r < 0)
        return r;
    char name[32];
    if (flags & SEGMENT_HIDDEN)
        hidden_name(name, number);
    else
        file_name(name, number);
    s->size = SEGMENT_SIZE;
    s->fd = segment_space_reserve(dirfd, name);
    if (io_is_full(s->fd) && flags & SEGMENT_SPARE)
        s->fd = segment_space_take(dirfd, name, &s->size);
    if (s->fd < 0)
        return s->fd;
    r = write_header(s, dirfd, name);
    if (r < 0)
        return r;
    *ret = steal_ptr(s);
    return 0;
}

int segment_open(const struct segment_keys *keys, int dirfd, uint64_t number, struct segment **ret)
{
    CLEANUP(cleanup_segment) struct segment *s = segment_alloc(number);
    if (!s)
        return -ENOMEM;
    char name[32];
    file_name(name, number);
    s->fd = io_open_read(dirfd, name);
    if (s->fd < 0)
        return s->fd;
    struct stat st;
    if (fstat(s->fd, &st) < 0)
        return -errno;
    s->size = (uint64_t)st.st_size;
    ssize_t n = io_pread(s->fd, s->header, sizeof s->header, 0);
    if (n < 0)
        return (int)n;
    if (n != sizeof s->header || memcmp(s->header, "ISRL\1\0\0\0", 8) != 0 ||
        get_u64(s->header + 8) != number)
        return -EBADMSG;
    uint8_t mac[32];
    int r = derive_key(keys, s);
    r = r < 0 ? r : header_mac(keys, s, mac);
    if (r < 0)
        return r;
    if (!secret_equal(mac, s->header + HEADER_MAC_AT, sizeof mac))
        return -EKEYREJECTED;
    *ret = steal_ptr(s);
    return 0;
}

/* AAD: the used part of the segment's header, then the record's frame. */
static void fill_aad(const struct segment *s, const uint8_t *frame,
                     uint8_t aad[SEGMENT_HEADER_USED + SEGMENT_FRAME_SIZE])
{
    memcpy(aad, s->header, SEGMENT_HEADER_USED);
    memcpy(aad + SEGMENT_HEADER_USED, frame, SEGMENT_FRAME_SIZE);
}

static void fill_nonce(uint64_t record, uint8_t nonce[AEAD_NONCE_SIZE])
{
    memset(nonce, 0, AEAD_NONCE_SIZE);
    put_u64(nonce, record);
}

uint64_t segment_record_size(size_t payload_size)
{
    return payload_size + SEGMENT_OVERHEAD;
}

int segment_seal(const struct segment_keys *keys, const struct segment *s, uint64_t offset,
                 uint64_t record, enum record_type type, struct flush_point flushed,
                 const struct segment_payload *payload)
{
    if (payload->count > SEGMENT_PARTS_MAX)
        return -EINVAL;
    size_t plain_size = SEGMENT_PREAMBLE_SIZE + payload->size;
    uint8_t *frame = s->image + offset, *cipher = frame + SEGMENT_FRAME_SIZE;
    put_u32(frame, (uint32_t)plain_size);
    put_u32(frame + 4, 0);
    put_u64(frame + 8, record);
    uint8_t preamble[SEGMENT_PREAMBLE_SIZE] = {(uint8_t)type};
    put_u64(preamble + 8, flushed.segment);
    put_u64(preamble + 16, flushed.records);
    uint8_t aad[SEGMENT_HEADER_USED + SEGMENT_FRAME_SIZE], nonce[AEAD_NONCE_SIZE];
    fill_aad(s, frame, aad);
    fill_nonce(record, nonce);
    struct iovec parts[SEGMENT_PARTS_MAX + 1];
    parts[0] = (struct iovec){preamble, sizeof preamble};
    memcpy(parts + 1, payload->parts, payload->count * sizeof *parts);
    return aead_seal_parts(keys->aead, s->key, nonce, aad, sizeof aad, parts, payload->count + 1,
                           cipher, cipher + plain_size);
}

int segment_find(const struct segment *s, uint64_t record, uint64_t *ret_offset)
{
    uint64_t offset = SEGMENT_HEADER_SIZE;
    for (uint64_t i = 0; i < record; i++) {
        uint8_t frame[SEGMENT_FRAME_SIZE];
        ssize_t n = io_pread(s->fd, frame, sizeof frame, (off_t)offset);
        if (n < 0)
            return (int)n;
        if (n != sizeof frame || get_u64(frame + 8) != i)
            return -EBADMSG;
        offset += SEGMENT_FRAME_SIZE + get_u32(frame) + AEAD_TAG_SIZE;
    }
    *ret_offset = offset;
    return 0;
}

uint64_t segment_image_record(const struct segment *s, uint64_t offset)
{
    return SEGMENT_FRAME_SIZE + get_u32(s->image + offset) + AEAD_TAG_SIZE;
}

int segment_write(const struct segment *s, uint64_t from, uint64_t to)
{
    return io_pwrite(s->fd, s->image + from, to - from, (off_t)from);
}

int segment_flush(const struct segment *s)
{
    return io_fdatasync(s->fd);
}

/* Not page by page: each call costs more than a small record. */
#define RELEASE_STEP (1u << 20)

void segment_release(struct segment *s, uint64_t end)
{
    end -= end % RELEASE_STEP;
    if (end <= s->released)
        return;
    madvise(s->image + s->released, end - s->released, MADV_DONTNEED);
    s->released = end;
}

void segment_drop_image(struct segment *s)
{
    if (s->image)
        munmap(s->image, SEGMENT_SIZE);
    s->image = NULL;
}

/* Bytes of the file or of the image; as io_pread. */
static ssize_t load(const struct segment *s, bool image, void *to, size_t size, uint64_t offset)
{
    if (!image)
        return io_pread(s->fd, to, size, (off_t)offset);
    if (offset >= SEGMENT_SIZE)
        return 0;
    if (size > SEGMENT_SIZE - offset)
        size = SEGMENT_SIZE - offset;
    memcpy(to, s->image + offset, size);
    return (ssize_t)size;
}

static int read_record(const struct segment_keys *keys, const struct segment *s, bool image,
                       uint64_t offset, uint64_t record, struct buffer *buffer,
                       struct segment_record *ret)
{
    uint8_t frame[SEGMENT_FRAME_SIZE];
    ssize_t n = load(s, image, frame, sizeof frame, offset);
    if (n < 0)
        return (int)n;
    static const uint8_t nothing[SEGMENT_FRAME_SIZE];
    if (n == 0 || (n == sizeof frame && memcmp(frame, nothing, sizeof frame) == 0))
        return -ENODATA;
    uint32_t length = get_u32(frame);
    if (n != sizeof frame || length < SEGMENT_PREAMBLE_SIZE ||
        length > SEGMENT_PREAMBLE_SIZE + SEGMENT_PAYLOAD_MAX || get_u32(frame + 4) != 0 ||
        get_u64(frame + 8) != record)
        return -EBADMSG;
    int r = buffer_resize(buffer, length + AEAD_TAG_SIZE);
    if (r < 0)
        return r;
    n = load(s, image, buffer->data, buffer->size, offset + SEGMENT_FRAME_SIZE);
    if (n < 0)
        return (int)n;
    if ((size_t)n != buffer->size)
        return -EBADMSG;
    uint8_t aad[SEGMENT_HEADER_USED + SEGMENT_FRAME_SIZE], nonce[AEAD_NONCE_SIZE];
    fill_aad(s, frame, aad);
    fill_nonce(record, nonce);
    r = aead_open(keys->aead, s->key, nonce, aad, sizeof aad, buffer->data, length,
                  buffer->data + length, buffer->data);
    if (r < 0)
        return r;
    *ret = (struct segment_record){
        .offset = offset,
        .record = record,
        .type = buffer->data[0],
        .flushed = {get_u64(buffer->data + 8), get_u64(buffer->data + 16)},
        .payload = buffer->data + SEGMENT_PREAMBLE_SIZE,
        .size = length - SEGMENT_PREAMBLE_SIZE,
    };
    return 0;
}

int segment_read(const struct segment_keys *keys, const struct segment *s, uint64_t offset,
                 uint64_t record, struct buffer *buffer, struct segment_record *ret)
{
    return read_record(keys, s, false, offset, record, buffer, ret);
}

int segment_read_image(const struct segment_keys *keys, const struct segment *s, uint64_t offset,
                       uint64_t record, struct buffer *buffer, struct segment_record *ret)
{
    return read_record(keys, s, true, offset, record, buffer, ret);
}
