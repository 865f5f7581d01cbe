/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Batches of what was done to files. Every record of one begins with the batch's number and says
 * whether it is the last. Numbers only grow, also over processes, so that a batch that a crash cut
 * off is never taken together with records that came later.
 *
 * A root says which batches it contains, for it may be written long after its commit (a check-in
 * names what it publishes), when there are newer ones already. A partial root is the end of the
 * batch before it: with one of them the other counts, or none does.
 *
 *   head       batch u64, end u8
 *   operations head, bytes
 *   blocks     head, file id u64, chunk index u64, bytes of bitmap u16, bitmap, the blocks */
#include <assert.h>
#include <string.h>

#include "isrfs/parcel/catalog.h"
#include "isrfs/parcel/site_log_internal.h"

#define BLOCK       4096u
#define HEAD        9u
#define BLOCKS_HEAD (HEAD + 18u)
#define BITMAP_MAX  128u

uint64_t site_log_begin_batch(struct site_log *l)
{
    LOCK_SCOPE(&l->lock);
    return ++l->batch;
}

uint64_t site_log_last_batch(struct site_log *l)
{
    LOCK_SCOPE(&l->lock);
    return l->batch;
}

int site_log_put_operations(struct site_log *l, uint64_t batch, bool end, const void *data,
                            size_t size)
{
    uint8_t head[HEAD];
    put_u64(head, batch);
    head[8] = end;
    const struct iovec parts[] = {{head, sizeof head}, {(void *)(uintptr_t)data, size}};
    struct log_place place;
    return site_log_append(l, RECORD_FILE, &(struct segment_payload){parts, 2, sizeof head + size},
                           &place);
}

/* At most every second block of a chunk begins a piece of memory of its own. */
#define BLOCKS_PIECES_MAX (1 + CHUNK_SIZE_MAX / BLOCK / 2 + 1)
static_assert(BLOCKS_PIECES_MAX <= SEGMENT_PARTS_MAX, "a record of blocks must fit");

static void add_block(struct iovec *pieces, size_t *count, const uint8_t *data)
{
    struct iovec *last = &pieces[*count - 1];
    if (*count > 1 && (uint8_t *)last->iov_base + last->iov_len == data)
        last->iov_len += BLOCK;
    else
        pieces[(*count)++] = (struct iovec){(void *)(uintptr_t)data, BLOCK};
}

int site_log_put_blocks(struct site_log *l, uint64_t batch, bool end,
                        const struct log_blocks *blocks, const uint8_t *const *parts,
                        struct log_at *ret)
{
    uint8_t head[BLOCKS_HEAD + BITMAP_MAX];
    if (blocks->bitmap_size > BITMAP_MAX)
        return -EINVAL;
    put_u64(head, batch);
    head[8] = end;
    put_u64(head + 9, blocks->file_id);
    put_u64(head + 17, blocks->index);
    put_u16(head + 25, (uint16_t)blocks->bitmap_size);
    memcpy(head + BLOCKS_HEAD, blocks->bitmap, blocks->bitmap_size);
    struct iovec pieces[BLOCKS_PIECES_MAX];
    size_t count = 0;
    pieces[count++] = (struct iovec){head, BLOCKS_HEAD + blocks->bitmap_size};
    for (unsigned i = 0; i < blocks->count; i++)
        add_block(pieces, &count, parts[i]);
    const struct segment_payload payload = {pieces, count,
                                            pieces[0].iov_len + (size_t)blocks->count * BLOCK};
    struct log_place place;
    int r = site_log_append(l, RECORD_BLOCKS, &payload, &place);
    if (r == 0)
        *ret = (struct log_at){place.segment, place.offset, place.record};
    return r;
}

static int parse_blocks(const uint8_t *payload, size_t size, struct log_blocks *ret)
{
    struct reader in = reader_of(payload, size);
    reader_bytes(&in, HEAD);
    *ret = (struct log_blocks){.file_id = reader_u64(&in), .index = reader_u64(&in)};
    ret->bitmap_size = reader_u16(&in);
    if (in.bad || ret->bitmap_size > BITMAP_MAX)
        return -EBADMSG;
    ret->bitmap = reader_bytes(&in, ret->bitmap_size);
    for (size_t i = 0; ret->bitmap && i < ret->bitmap_size; i++)
        ret->count += (unsigned)__builtin_popcount(ret->bitmap[i]);
    ret->data = reader_bytes(&in, (size_t)ret->count * BLOCK);
    return in.bad || in.left > 0 ? -EBADMSG : 0;
}

/* Any record, as it is in the log. */
static int read_record(struct site_log *l, const struct log_at *at, enum record_type type,
                       struct buffer *buffer, struct segment_record *ret)
{
    int r = site_log_read(l, at, buffer, ret);
    return r == 0 && (ret->type != type || ret->size < HEAD) ? -EBADMSG : r;
}

int site_log_read_blocks(struct site_log *l, const struct log_at *at, struct buffer *buffer,
                         struct log_blocks *ret)
{
    struct segment_record record;
    int r = read_record(l, at, RECORD_BLOCKS, buffer, &record);
    return r < 0 ? r : parse_blocks(record.payload, record.size, ret);
}

void site_log_journal_cut(struct site_log *l)
{
    l->journal.count = l->journal.whole;
}

void site_log_journal_gap(struct site_log *l)
{
    l->journal.gap = true;
}

static bool batch_has_gap(const struct journaled *records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (records[i].after_gap)
            return true;
    return false;
}

/* The last batch has no end. If records were lost in or after it, its end may be among them: it is
 * kept. Otherwise a crash cut it off. */
static void end_unfinished(struct journal *j)
{
    size_t from = j->whole;
    if (j->gap && j->count > from)
        j->records[j->count - 1].after_gap = true;
    if (!batch_has_gap(j->records + from, j->count - from)) {
        j->count = from;
        return;
    }
    j->whole = j->count;
    j->batches++;
}

void site_log_journal_end(struct site_log *l)
{
    if (l->journal.count > l->journal.whole)
        end_unfinished(&l->journal);
}

/* A partial root ends its batch, of which J has FOUND; with salvage what is lost of it is only
 * counted. 1: all of it is there; 0: it is not. */
static int end_with_root(struct site_log *l, bool found, bool has_gap)
{
    if (!found && l->damage_count == 0)
        return -EBADMSG;
    if (found && !has_gap)
        return 1;
    l->journal.lost++;
    return 0;
}

int site_log_journal_root(struct site_log *l, const struct site_root *root, bool same)
{
    struct journal *j = &l->journal;
    uint64_t ended = root->partial ? root->contains + 1 : 0;
    size_t kept = 0, whole = 0;
    bool found = false, has_gap = !same && j->gap;
    if (root->contains > l->batch)
        l->batch = root->contains;
    j->batches = 0;
    for (size_t i = 0; i < j->count; i++) {
        const struct journaled at = j->records[i];
        bool is_ended = ended && at.batch == ended;
        if (at.batch <= root->contains)
            continue;
        found |= is_ended;
        has_gap |= is_ended && at.after_gap;
        if (kept == 0 || j->records[kept - 1].batch != at.batch)
            j->batches += i < j->whole || is_ended;
        j->records[kept++] = at;
        if (i < j->whole || is_ended)
            whole = kept;
    }
    j->count = kept;
    j->whole = whole;
    if (same)
        return ended && !found && l->damage_count == 0 ? -EBADMSG : 0;
    j->gap = false;
    j->lost = 0;
    return ended ? end_with_root(l, found, has_gap) : 1;
}

int site_log_journal_take(struct site_log *l, const struct log_at *at, enum record_type type,
                          const uint8_t *payload, size_t size)
{
    struct journal *j = &l->journal;
    if (size < HEAD || payload[8] > 1)
        return -EBADMSG;
    uint64_t batch = get_u64(payload);
    if (j->count > j->whole && j->records[j->count - 1].batch != batch)
        end_unfinished(j);
    if (batch > l->batch)
        l->batch = batch;
    if (j->count == j->room) {
        size_t room = j->room ? 2 * j->room : 256;
        struct journaled *records = reallocarray(j->records, room, sizeof *records);
        if (!records)
            return -ENOMEM;
        j->records = records;
        j->room = room;
    }
    j->records[j->count++] = (struct journaled){*at, batch, type, j->gap};
    j->gap = false;
    if (payload[8]) {
        j->whole = j->count;
        j->batches++;
    }
    return 0;
}

/* A batch ends with operations: if it does not, they are lost, and so are those in several records
 * if any was lost among them. */
static bool operations_are_lost(const struct journaled *records, size_t count)
{
    size_t parts = 0;
    for (size_t i = 0; i < count; i++)
        parts += records[i].type == RECORD_FILE;
    return parts == 0 || (parts > 1 && batch_has_gap(records, count));
}

/* The operations of one batch, which may be cut anywhere between its records, in one piece. */
static int replay_operations(struct site_log *l, const struct journaled *records, size_t count,
                             const struct log_replayer *replayer)
{
    if (replayer->lost && operations_are_lost(records, count))
        return replayer->lost(replayer->ctx);
    CLEANUP_SECRET_BUFFER struct buffer buffer = {0};
    CLEANUP_SECRET_BUFFER struct buffer all = {0};
    for (size_t i = 0; i < count; i++) {
        struct segment_record record;
        if (records[i].type != RECORD_FILE)
            continue;
        int r = read_record(l, &records[i].at, RECORD_FILE, &buffer, &record);
        r = r < 0 ? r : buffer_append(&all, record.payload + HEAD, record.size - HEAD);
        if (r < 0)
            return r;
    }
    return replayer->operations(replayer->ctx, all.data, all.size);
}

static int replay_blocks(struct site_log *l, const struct journaled *records, size_t count,
                         const struct log_replayer *replayer)
{
    CLEANUP_SECRET_BUFFER struct buffer buffer = {0};
    for (size_t i = 0; i < count; i++) {
        struct log_blocks blocks;
        if (records[i].type != RECORD_BLOCKS)
            continue;
        int r = site_log_read_blocks(l, &records[i].at, &buffer, &blocks);
        r = r < 0 ? r : replayer->blocks(replayer->ctx, &blocks, &records[i].at);
        if (r != 0)
            return r;
    }
    return 0;
}

int site_log_replay(struct site_log *l, const struct log_replayer *replayer)
{
    const struct journaled *records = l->journal.records;
    for (uint64_t i = 0; replayer->lost && i < l->journal.lost; i++) {
        int r = replayer->lost(replayer->ctx);
        if (r != 0)
            return r;
    }
    for (size_t i = 0, end; i < l->journal.count; i = end) {
        for (end = i; end < l->journal.count && records[end].batch == records[i].batch;)
            end++;
        int r = replay_operations(l, records + i, end - i, replayer);
        r = r != 0 ? r : replay_blocks(l, records + i, end - i, replayer);
        if (r != 0)
            return r;
    }
    return 0;
}
