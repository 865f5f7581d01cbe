/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a damaged log. All records that open are found first, in whatever order damage leaves
 * them: behind one that does not open, the next is looked for byte by byte. Every frame names its
 * record's number, and the key proves it, so nothing is taken for what it is not.
 *
 * What they say of each other (how far the log was on disk) then tells damage from the torn end, as
 * in site_log_scan.c: a number that is missing below a promise is damage, and what follows it is
 * good; a number that is missing above is where the crash cut the log off, and what lies behind is
 * left out.
 *
 * Only at the end are the records read again and handed on. */
#include "isrfs/parcel/site_log_scan.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"

#define NUMBERS_MAX (1u << 24) /* of records in a segment, and more */

struct place {
    uint64_t offset, record;
};

struct piece {
    uint64_t number;
    struct segment *segment; /* NULL: missing, or its header does not open */
    bool aside;              /* one of that number was set aside */
    int64_t written, aside_written;
    struct place *places; /* of records that open; numbers rise */
    size_t count, room;
    uint64_t promised; /* so many records were on disk */
    uint64_t limit;    /* and no more than these count: the next segment says so */
};

struct salvage {
    const struct segment_keys *keys;
    int dirfd;
    struct piece *pieces; /* a row without gaps in their numbers */
    size_t count;
    uint64_t *numbers; /* of the files that are there */
    size_t files;
    uint64_t *asides; /* and of those that were set aside */
    size_t aside_count;
};

static void salvage_free(struct salvage *s)
{
    for (size_t i = 0; i < s->count; i++) {
        segment_free(s->pieces[i].segment);
        free(s->pieces[i].places);
    }
    free(s->pieces);
    free(s->numbers);
    free(s->asides);
}

static void file_name(char out[48], uint64_t number)
{
    snprintf(out, 48, "%016" PRIx64, number);
}

/* --- the files --- */

static int add_number(uint64_t **numbers, size_t *count, uint64_t number)
{
    uint64_t *all = reallocarray(*numbers, *count + 1, sizeof *all);
    if (!all)
        return -ENOMEM;
    *numbers = all;
    all[(*count)++] = number;
    return 0;
}

static int take_name(void *ctx, const char *name)
{
    struct salvage *s = ctx;
    uint64_t number;
    bool aside;
    if (!site_log_scan_name(name, &number, &aside))
        return 0;
    return aside ? add_number(&s->asides, &s->aside_count, number)
                 : add_number(&s->numbers, &s->files, number);
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static int open_piece(const struct salvage *s, struct piece *p)
{
    char name[48];
    struct stat st;
    file_name(name, p->number);
    if (fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    p->written = st.st_mtim.tv_sec;
    int r = segment_open(s->keys, s->dirfd, p->number, &p->segment);
    return r == -EBADMSG || r == -EKEYREJECTED ? 0 : r;
}

/* What the next segment's header says of P. One that NEXT was not made after is not the one. */
static void look_back(struct piece *p, const struct segment *next)
{
    p->promised = p->limit = segment_previous_records(next);
    if (p->segment && !segment_follows(next, p->segment)) {
        segment_free(p->segment);
        p->segment = NULL;
    }
}

/* A newest one without a header had nothing in it: its number is free. */
static int drop_unmade(struct salvage *s)
{
    struct segment *opened = NULL;
    uint64_t last = s->numbers[s->files - 1];
    int r = segment_open(s->keys, s->dirfd, last, &opened);
    segment_free(opened);
    r = site_log_scan_unmade(s->dirfd, last, r);
    s->files -= r > 0;
    return r < 0 ? r : 0;
}

/* How far the row goes. One that was set aside is a part of it. */
static uint64_t last_number(const struct salvage *s)
{
    uint64_t last = s->numbers[s->files - 1];
    for (size_t i = 0; i < s->aside_count; i++)
        last = s->asides[i] > last ? s->asides[i] : last;
    return last;
}

static void look_aside(struct salvage *s)
{
    for (size_t i = 0; i < s->aside_count; i++) {
        char name[64];
        struct stat st;
        uint64_t number = s->asides[i];
        if (number < s->pieces[0].number)
            continue; /* the log goes on from behind it */
        struct piece *p = &s->pieces[number - s->pieces[0].number];
        site_log_scan_aside_name(name, number);
        p->aside = true;
        if (fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            p->aside_written = st.st_mtim.tv_sec;
    }
}

/* The row from the first to the last number, all in between that are missing too. */
static int open_pieces(struct salvage *s)
{
    int r = io_each_name(s->dirfd, ".", take_name, s);
    if (r < 0 || s->files == 0)
        return r;
    qsort(s->numbers, s->files, sizeof *s->numbers, by_number);
    r = s->files > 1 ? drop_unmade(s) : 0;
    if (r < 0)
        return r;
    uint64_t first = s->numbers[0], last = last_number(s);
    if (last - first > NUMBERS_MAX)
        return -EBADMSG;
    s->pieces = calloc(last - first + 1, sizeof *s->pieces);
    if (!s->pieces)
        return -ENOMEM;
    s->count = last - first + 1;
    for (size_t i = 0; r == 0 && i < s->count; i++) {
        s->pieces[i].number = first + i;
        s->pieces[i].limit = UINT64_MAX;
        r = open_piece(s, &s->pieces[i]);
        if (i > 0 && s->pieces[i].segment)
            look_back(&s->pieces[i - 1], s->pieces[i].segment);
    }
    look_aside(s);
    bool any = false;
    for (size_t i = 0; i < s->count; i++)
        any |= s->pieces[i].segment != NULL;
    return r < 0 ? r : any ? 0 : -EBADMSG;
}

/* --- finding what opens --- */

static void note_promise(struct salvage *s, struct flush_point flushed)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->pieces[i].number == flushed.segment && s->pieces[i].promised < flushed.records)
            s->pieces[i].promised = flushed.records;
}

static int add_place(struct piece *p, uint64_t offset, uint64_t record)
{
    if (p->count == p->room) {
        size_t room = p->room ? 2 * p->room : 256;
        struct place *places = reallocarray(p->places, room, sizeof *places);
        if (!places)
            return -ENOMEM;
        p->places = places;
        p->room = room;
    }
    p->places[p->count++] = (struct place){offset, record};
    return 0;
}

/* Could a record above number ABOVE begin here? */
static bool may_begin(const uint8_t *frame, uint64_t above, uint64_t *ret_record)
{
    uint32_t length = get_u32(frame);
    *ret_record = get_u64(frame + 8);
    return get_u32(frame + 4) == 0 && length >= SEGMENT_PREAMBLE_SIZE &&
           length <= SEGMENT_PREAMBLE_SIZE + SEGMENT_PAYLOAD_MAX && *ret_record >= above &&
           *ret_record < above + NUMBERS_MAX;
}

/* The bytes of a segment's file, a run of data at a time: space that was only reserved is skipped.
 */
struct window {
    int fd;
    off_t limit;    /* nothing was written from here on */
    uint64_t start; /* of what BYTES has */
    struct buffer bytes;
};

static void window_free(struct window *w)
{
    cleanup_close(&w->fd);
    buffer_free(&w->bytes);
}

static int window_open(struct window *w, int dirfd, uint64_t number)
{
    char name[48];
    file_name(name, number);
    w->fd = io_open_read(dirfd, name);
    if (w->fd < 0)
        return w->fd;
    /* found before anything is read: what was read ahead of space that is only reserved counts as
     * data for the kernel too */
    for (off_t start, end = 0; (start = lseek(w->fd, end, SEEK_DATA)) >= 0; w->limit = end)
        if ((end = lseek(w->fd, start, SEEK_HOLE)) <= start)
            return -EIO;
    return 0;
}

/* Reads the run of data that has OFFSET in it, or the next one. -ENODATA. */
static int window_move(struct window *w, uint64_t offset)
{
    off_t start = lseek(w->fd, (off_t)offset, SEEK_DATA);
    off_t end = start < 0 ? -1 : lseek(w->fd, start, SEEK_HOLE);
    if (start < 0 || end <= start)
        return start < 0 && errno != ENXIO ? -errno : -ENODATA;
    if (start >= w->limit)
        return -ENODATA;
    end = end < w->limit ? end : w->limit;
    if (end - start > 2 * (off_t)SEGMENT_SIZE)
        return -EFBIG;
    int r = buffer_resize(&w->bytes, (size_t)(end - start));
    ssize_t n = r < 0 ? r : io_pread(w->fd, w->bytes.data, w->bytes.size, start);
    if (n < 0)
        return (int)n;
    w->start = (uint64_t)start;
    w->bytes.size = (size_t)n;
    return n > 0 ? 0 : -ENODATA;
}

/* A record that was looked for. */
struct found {
    uint64_t offset, record;
    struct flush_point flushed;
};

/* In the window, from F->offset on, the first that opens and whose number is at least F->record.
 * -ENODATA. */
static int find_in_window(const struct segment_keys *keys, const struct segment *segment,
                          const struct window *w, struct found *f)
{
    CLEANUP_SECRET_BUFFER struct buffer buffer = {0};
    uint64_t end = w->start + w->bytes.size;
    uint64_t at = f->offset > w->start ? f->offset : w->start;
    static const uint8_t nothing[64];
    for (; at + SEGMENT_FRAME_SIZE <= end; at++) {
        uint64_t number;
        if (end - at >= sizeof nothing &&
            memcmp(w->bytes.data + (at - w->start), nothing, sizeof nothing) == 0) {
            at += sizeof nothing - 4; /* a frame does not begin with four zeros */
            continue;
        }
        if (!may_begin(w->bytes.data + (at - w->start), f->record, &number))
            continue;
        struct segment_record record;
        int r = segment_read(keys, segment, at, number, &buffer, &record);
        if (r == 0) {
            *f = (struct found){at, number, record.flushed};
            return 0;
        }
        if (r != -EBADMSG && r != -ENODATA)
            return r;
    }
    return -ENODATA;
}

/* Likewise in the whole file. */
static int find_next(const struct segment_keys *keys, const struct segment *segment,
                     struct window *w, struct found *f)
{
    int r = 0;
    if (f->offset < w->start || f->offset >= w->start + w->bytes.size)
        r = window_move(w, f->offset);
    while (r == 0) {
        r = find_in_window(keys, segment, w, f);
        if (r != -ENODATA)
            return r;
        r = window_move(w, w->start + w->bytes.size);
    }
    return r;
}

int site_log_salvage_promise(const struct segment_keys *keys, int dirfd, struct segment *s,
                             uint64_t offset, uint64_t record, uint64_t *ret)
{
    CLEANUP(window_free) struct window w = {0};
    struct found f = {.offset = offset, .record = record};
    *ret = 0;
    int r = window_open(&w, dirfd, segment_number(s));
    while (r == 0 && *ret <= record) {
        r = find_next(keys, s, &w, &f);
        if (r == 0 && f.flushed.segment == segment_number(s) && f.flushed.records > *ret)
            *ret = f.flushed.records;
        f.offset++;
    }
    return r == -ENODATA ? 0 : r;
}

static int find_records(struct salvage *s, struct piece *p)
{
    CLEANUP_SECRET_BUFFER struct buffer buffer = {0};
    CLEANUP(window_free) struct window w = {0};
    struct found f = {.offset = SEGMENT_HEADER_SIZE};
    int r = window_open(&w, s->dirfd, p->number);
    while (r == 0) {
        struct segment_record record;
        r = segment_read(s->keys, p->segment, f.offset, f.record, &buffer, &record);
        if (r == 0) {
            r = add_place(p, f.offset, f.record);
            note_promise(s, record.flushed);
            f.offset += segment_record_size(record.size);
            f.record++;
        } else if (r == -EBADMSG || r == -ENODATA) {
            r = find_next(s->keys, p->segment, &w, &f);
        }
    }
    return r == -ENODATA ? 0 : r;
}

/* --- handing on --- */

static int say_damage(const struct scan_visitor *visitor, const struct piece *p, uint64_t record,
                      uint64_t records)
{
    struct log_damage damage = {
        .segment = p->number, .record = record, .records = records, .written = p->written};
    return visitor->damage(visitor->ctx, &damage);
}

/* Before what was given its number. */
static int say_aside(const struct scan_visitor *visitor, const struct piece *p)
{
    struct log_damage damage = {.segment = p->number, .written = p->aside_written};
    return visitor->damage(visitor->ctx, &damage);
}

static int hand_on(const struct salvage *s, struct piece *p, const struct scan_visitor *visitor,
                   struct scan_result *result)
{
    CLEANUP_SECRET_BUFFER struct buffer buffer = {0};
    uint64_t next = 0, end = SEGMENT_HEADER_SIZE;
    int r = 0;
    for (size_t i = 0; r == 0 && i < p->count; i++) {
        const struct place *at = &p->places[i];
        if (at->record >= p->limit || (at->record > next && at->record > p->promised))
            break; /* beyond the last promise: the torn end */
        if (at->record > next)
            r = say_damage(visitor, p, next, at->record - next);
        struct segment_record record;
        r = r < 0 ? r : segment_read(s->keys, p->segment, at->offset, at->record, &buffer, &record);
        r = r < 0 ? r : visitor->record(visitor->ctx, p->segment, &record);
        next = at->record + 1;
        end = r < 0 ? end : at->offset + segment_record_size(record.size);
    }
    if (r == 0 && next < p->promised) {
        r = say_damage(visitor, p, next, p->promised - next);
        next = p->promised;
    }
    result->bytes += end;
    result->flushed = (struct flush_point){p->number, next};
    result->records = next;
    return r < 0 ? r : segment_flush(p->segment);
}

static int hand_on_piece(const struct salvage *s, struct piece *p,
                         const struct scan_visitor *visitor, struct scan_result *result)
{
    int r = p->aside ? say_aside(visitor, p) : 0;
    if (p->segment)
        return r < 0 ? r : hand_on(s, p, visitor, result);
    return r < 0 || p->aside ? r : say_damage(visitor, p, 0, p->promised);
}

static int hand_on_all(struct salvage *s, bool give_up, const struct scan_visitor *visitor,
                       struct scan_result *result)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < s->count; i++)
        r = hand_on_piece(s, &s->pieces[i], visitor, result);
    /* the newest must be one that opens: others are numbered after it */
    for (size_t i = s->count; r == 0 && give_up && i > 0 && !s->pieces[i - 1].segment; i--)
        r = site_log_scan_set_aside(s->dirfd, s->pieces[i - 1].number);
    return r;
}

int site_log_salvage(const struct segment_keys *keys, int dirfd, bool give_up,
                     const struct scan_visitor *visitor, struct scan_result *ret)
{
    CLEANUP(salvage_free) struct salvage s = {.keys = keys, .dirfd = dirfd};
    struct scan_result result = {0};
    int r = open_pieces(&s);
    for (size_t i = 0; r == 0 && i < s.count; i++)
        if (s.pieces[i].segment)
            r = find_records(&s, &s.pieces[i]);
    r = r < 0 ? r : hand_on_all(&s, give_up, visitor, &result);
    if (r < 0)
        return r;
    result.segments = calloc(s.count + 1, sizeof(struct segment *));
    if (!result.segments)
        return -ENOMEM;
    for (size_t i = 0; i < s.count; i++)
        if (s.pieces[i].segment)
            result.segments[result.count++] = steal_ptr(s.pieces[i].segment);
    *ret = result;
    return 0;
}
