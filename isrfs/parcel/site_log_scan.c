/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every good record says how far the log was known to be flushed when it was written. While the
 * segments are read in order, `promised` remembers for each of them the highest such number. At the
 * end each segment must have at least that many good records; what is missing beyond is the torn
 * end of a crash. Behind the last good record of the newest segment others are looked for, only for
 * what they promise.
 *
 * What could be read now must not vanish in the next crash, because this process will build upon
 * it. The files and their folder are flushed once more; but after a flush that failed, in a process
 * that is gone, the kernel may show what never comes to the disk and call the next flush good. So
 * of the last segment only what was promised counts as being on disk, and whoever appends moves the
 * rest (site_log_repair.c). */
#include "isrfs/parcel/site_log_scan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/io.h"
#include "isrfs/base/log.h"

#define ASIDE ".damaged"

struct scanned {
    uint64_t number;
    struct segment *segment;
    uint64_t offset;   /* behind the good ones */
    uint64_t records;  /* good ones, from the front */
    uint64_t promised; /* that must be good */
    uint64_t limit;    /* no more than these count: the next segment says so */
};

struct scan {
    struct scanned *all;
    size_t count, room;
    uint64_t aside; /* the newest that was set aside as damaged; 0: none */
};

static void scan_free(struct scan *s)
{
    for (size_t i = 0; i < s->count; i++)
        segment_free(s->all[i].segment);
    free(s->all);
}

static int take_name(void *ctx, const char *name)
{
    struct scan *s = ctx;
    uint64_t number;
    bool aside;
    if (!site_log_scan_name(name, &number, &aside))
        return 0; /* not ours: left alone */
    if (aside) {
        s->aside = number > s->aside ? number : s->aside;
        return 0;
    }
    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 16;
        struct scanned *all = reallocarray(s->all, room, sizeof *all);
        if (!all)
            return -ENOMEM;
        s->all = all;
        s->room = room;
    }
    s->all[s->count++] = (struct scanned){.number = number};
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const struct scanned *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int open_segments(const struct segment_keys *keys, int dirfd, struct scan *s)
{
    int r = io_each_name(dirfd, ".", take_name, s);
    if (r < 0)
        return r;
    if (s->count)
        qsort(s->all, s->count, sizeof *s->all, by_number);
    if (s->aside && (s->count == 0 || s->aside >= s->all[0].number)) {
        log_error("segment %" PRIu64 " of the site log did not open, and was set aside", s->aside);
        return -EBADMSG;
    }
    for (size_t i = 0; i < s->count; i++) {
        struct scanned *at = &s->all[i];
        r = segment_open(keys, dirfd, at->number, &at->segment);
        int unmade = i + 1 == s->count ? site_log_scan_unmade(dirfd, at->number, r) : 0;
        if (unmade != 0) {
            s->count--;
            return unmade < 0 ? unmade : 0;
        }
        if (r == -EKEYREJECTED || r == -EBADMSG) {
            log_error("segment %" PRIu64
                      " of the site log does not open: its header is damaged, or "
                      "the lock server gave another session key",
                      at->number);
            return -EBADMSG;
        }
        if (r < 0) {
            log_error("segment %" PRIu64 " of the site log cannot be read: %s", at->number,
                      strerror(-r));
            return r;
        }
        if (i > 0 &&
            (at->number != at[-1].number + 1 || !segment_follows(at->segment, at[-1].segment))) {
            log_error("a segment is missing in the site log before number %" PRIu64, at->number);
            return -EBADMSG;
        }
        at->limit = UINT64_MAX;
        if (i > 0)
            at[-1].promised = at[-1].limit = segment_previous_records(at->segment);
    }
    return 0;
}

static void note_promise(struct scan *s, struct flush_point flushed)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->all[i].number == flushed.segment && s->all[i].promised < flushed.records)
            s->all[i].promised = flushed.records;
}

/* Behind the last good record of the newest segment may lie more: then it is damaged, not torn. (Of
 * the others the segments after them say how long they are.) */
static int look_behind(const struct segment_keys *keys, int dirfd, struct scan *s,
                       struct scanned *at, uint64_t offset)
{
    uint64_t promised = 0;
    if (at != &s->all[s->count - 1])
        return 0;
    int r = site_log_salvage_promise(keys, dirfd, at->segment, offset, at->records, &promised);
    if (at->promised < promised)
        at->promised = promised;
    return r;
}

static int read_segment(const struct segment_keys *keys, int dirfd, struct scan *s,
                        struct scanned *at, const struct scan_visitor *visitor,
                        struct scan_result *result)
{
    CLEANUP_SECRET_BUFFER struct buffer buffer = {0};
    uint64_t offset = SEGMENT_HEADER_SIZE;
    while (at->records < at->limit) {
        struct segment_record record;
        int r = segment_read(keys, at->segment, offset, at->records, &buffer, &record);
        if (r == -ENODATA)
            break;
        if (r == -EBADMSG) {
            result->torn_bytes +=
                segment_size(at->segment) > offset ? segment_size(at->segment) - offset : 0;
            break;
        }
        r = r < 0 ? r : visitor->record(visitor->ctx, at->segment, &record);
        if (r < 0)
            return r;
        note_promise(s, record.flushed);
        at->records++;
        offset += segment_record_size(record.size);
    }
    result->bytes += offset;
    at->offset = offset;
    int r = look_behind(keys, dirfd, s, at, offset);
    return r < 0 ? r : segment_flush(at->segment);
}

static int check_promises(const struct scan *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct scanned *at = &s->all[i];
        if (at->records >= at->promised)
            continue;
        log_error("the site log is damaged: record %" PRIu64 " of segment %" PRIu64
                  " was flushed and cannot be read",
                  at->records, at->number);
        return -EBADMSG;
    }
    return 0;
}

static void file_name(char out[32], uint64_t number)
{
    snprintf(out, 32, "%016" PRIx64, number);
}

bool site_log_scan_name(const char *name, uint64_t *ret_number, bool *ret_aside)
{
    char digits[17];
    uint8_t bytes[8];
    snprintf(digits, sizeof digits, "%s", name);
    const char *rest = name + strlen(digits);
    *ret_aside = strcmp(rest, ASIDE) == 0;
    if (hex_decode(bytes, sizeof bytes, digits) < 0 || (*rest && !*ret_aside))
        return false;
    *ret_number = strtoull(digits, NULL, 16);
    return true;
}

void site_log_scan_aside_name(char out[64], uint64_t number)
{
    snprintf(out, 64, "%016" PRIx64 ASIDE, number);
}

int site_log_scan_set_aside(int dirfd, uint64_t number)
{
    char name[32], aside[64];
    file_name(name, number);
    site_log_scan_aside_name(aside, number);
    int r = io_rename(dirfd, name, dirfd, aside);
    return r == -ENOENT ? 0 : r < 0 ? r : io_fsync_dir(dirfd, ".");
}

/* Is all behind the header zero? */
static int is_empty(int dirfd, const char *name)
{
    static const uint8_t nothing[SEGMENT_HEADER_SIZE];
    uint8_t bytes[sizeof nothing];
    CLEANUP_CLOSE int fd = io_open_read(dirfd, name);
    if (fd < 0)
        return fd;
    off_t at = SEGMENT_HEADER_SIZE;
    while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
        ssize_t n = io_pread(fd, bytes, sizeof bytes, at);
        if (n <= 0 || memcmp(bytes, nothing, (size_t)n) != 0)
            return n < 0 ? (int)n : n == 0;
        at += n;
    }
    return errno == ENXIO ? 1 : -errno;
}

int site_log_scan_unmade(int dirfd, uint64_t number, int error)
{
    char name[32];
    file_name(name, number);
    int r = error == -EBADMSG ? is_empty(dirfd, name) : 0;
    if (r <= 0)
        return r;
    r = io_unlink(dirfd, name);
    return r < 0 ? r : 1;
}

/* Nobody vouches for the header of a newest segment without records: its flush may have failed, for
 * a process that was killed before it could remove it, and then the next flush succeeds for
 * nothing. There is nothing in it: it is made anew. */
static int drop_unvouched(int dirfd, struct scan *s, struct scan_result *result)
{
    struct scanned *last = s->count ? &s->all[s->count - 1] : NULL;
    if (!last || last->records > 0)
        return 0;
    char name[32];
    file_name(name, last->number);
    int r = is_empty(dirfd, name);
    if (r <= 0)
        return r;
    segment_free(steal_ptr(last->segment));
    s->count--;
    result->bytes -= last->offset;
    return io_unlink(dirfd, name);
}

int site_log_scan(const struct segment_keys *keys, int dirfd, const struct scan_visitor *visitor,
                  struct scan_result *ret)
{
    CLEANUP(scan_free) struct scan s = {0};
    struct scan_result result = {0};
    int r = open_segments(keys, dirfd, &s);
    r = r < 0 ? r : io_fsync_dir(dirfd, ".");
    for (size_t i = 0; r == 0 && i < s.count; i++)
        r = read_segment(keys, dirfd, &s, &s.all[i], visitor, &result);
    r = r < 0 ? r : check_promises(&s);
    r = r < 0 ? r : drop_unvouched(dirfd, &s, &result);
    if (r < 0)
        return r;
    result.segments = calloc(s.count + 1, sizeof(struct segment *));
    CLEANUP_FREE uint64_t *ends = calloc(s.count + 1, sizeof *ends);
    if (!result.segments || !ends) {
        free(result.segments);
        return -ENOMEM;
    }
    for (size_t i = 0; i < s.count; i++) {
        result.segments[i] = steal_ptr(s.all[i].segment);
        ends[i] = s.all[i].offset;
        result.flushed = (struct flush_point){s.all[i].number, s.all[i].promised};
        result.records = s.all[i].records;
        result.offset = s.all[i].offset;
    }
    result.count = s.count;
    result.ends = steal_ptr(ends);
    *ret = result;
    return 0;
}
