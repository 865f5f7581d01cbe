/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Volatile files: the memory of a running machine, which the VMM maps and the kernel writes back
 * all the time. What is written to one goes to a layer of its own above the file (f->run): a struct
 * file without keyring and name, whose chunks lie on what the file below has. Journal and commits
 * know only the file below. So an fsync of the disk costs nothing for it, and what is kept of the
 * memory is always that of one moment.
 *
 * That moment is when nothing is running, as a consistent batch or commit says: then the layer is
 * folded into the file below, frozen. First every chunk is completed and encoded, which may fail
 * and changes nothing; then all of them are moved, which only memory can refuse.
 *
 * After a crash the memory is of an older moment than the disk: it is stale, until somebody has
 * written to it and stopped. With a stale file no moment counts as consistent.
 *
 * A chunk of the layer that leaves memory goes to a spill file, block by block (its `unlogged`
 * blocks are those that are not there, and `where` has their numbers). Space for all of it is
 * reserved when the file is opened for writing: a write to a mapped page that fails is lost without
 * a word. */
#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/parcel/parcel_internal.h"

#define SLICE 64

int volatile_attach(struct file *f)
{
    struct file *run = calloc(1, sizeof *run);
    if (!run)
        return -ENOMEM;
    pthread_mutex_init(&run->lock, NULL);
    pthread_cond_init(&run->idle, NULL);
    run->parcel = f->parcel;
    run->file_id = f->file_id;
    run->chunk_size = f->chunk_size;
    run->is_volatile = true;
    run->below = f;
    run->mode = f->mode;
    run->size = f->size;
    run->mtime = f->mtime;
    run->ctime = f->ctime;
    f->run = run;
    return 0;
}

int volatile_attach_all(struct parcel *p)
{
    LOCK_SCOPE(&p->names);
    int r = 0;
    for (struct file *f = p->files; f && r == 0; f = f->hh_id.next)
        if (f->is_volatile && !f->is_folder) {
            r = volatile_attach(f);
            f->is_stale = !p->consistent;
        }
    return r;
}

bool volatile_any_stale(struct parcel *p)
{
    LOCK_SCOPE(&p->names);
    for (const struct file *f = p->files; f; f = f->hh_id.next)
        if (f->is_stale && !f->unlinked)
            return true;
    return false;
}

/* Spilling. */

/* The layer's spill file, made when it is first needed. */
static int get_spill(struct file *run, struct spill **ret)
{
    {
        LOCK_SCOPE(&run->lock);
        *ret = run->spill;
    }
    if (*ret)
        return 0;
    struct spill *made = NULL;
    int dirfd = run->parcel->config.state_fd;
    int r = dirfd > 0 ? spill_new(dirfd, &made) : -ENOSPC;
    if (r < 0)
        return r;
    LOCK_SCOPE(&run->lock);
    if (run->spill)
        spill_free(made);
    else
        run->spill = made;
    *ret = run->spill;
    return 0;
}

int volatile_reserve(struct file *run, uint64_t size)
{
    if (run->parcel->config.state_fd <= 0)
        return 0;
    uint64_t chunks = (size + run->chunk_size - 1) / run->chunk_size;
    struct spill *spill;
    int r = get_spill(run, &spill);
    return r < 0 ? r : spill_reserve(spill, chunks * file_blocks(run));
}

/* Writes the blocks of a busy chunk that are not in the spill file, each run of them at once;
 * NUMBERS gets theirs. No lock. */
static int write_blocks(struct spill *spill, const struct file *run, const struct dirty *d,
                        uint64_t *numbers)
{
    unsigned blocks = file_blocks(run);
    for (unsigned i = 0, end; i < blocks; i = end) {
        for (end = i; end < blocks && dirty_unlogged(d, end);)
            end++;
        if (end == i) {
            end++;
            continue;
        }
        uint64_t number;
        int r = spill_write(spill, d->index * blocks + i, d->data + (size_t)i * BLOCK_SIZE, end - i,
                            &number);
        if (r < 0)
            return r;
        for (unsigned k = i; k < end; k++)
            numbers[k] = number + (k - i);
    }
    return 0;
}

/* With the lock held. */
static int note_numbers(struct file *run, struct dirty *d, const uint64_t *numbers)
{
    unsigned blocks = file_blocks(run);
    if (!d->where)
        d->where = calloc(blocks, sizeof *d->where);
    if (!d->where)
        return -ENOMEM;
    for (unsigned i = 0; i < blocks; i++)
        if (dirty_unlogged(d, i))
            d->where[i].at.record = numbers[i];
    dirty_set_logged(d);
    return 0;
}

int volatile_spill(struct file *run, uint64_t index)
{
    struct spill *spill;
    int r = get_spill(run, &spill);
    CLEANUP_FREE uint64_t *numbers = calloc(file_blocks(run), sizeof *numbers);
    if (r < 0 || !numbers)
        return r < 0 ? r : -ENOMEM;
    struct dirty *d;
    {
        LOCK_SCOPE(&run->lock);
        d = dirty_find(run, index);
        if (!d || !d->data)
            return 0;
        d->busy = true;
    }
    r = write_blocks(spill, run, d, numbers);
    LOCK_SCOPE(&run->lock);
    r = r < 0 ? r : note_numbers(run, d, numbers);
    if (r == 0)
        dirty_evict(d);
    dirty_end_busy(d);
    if (r == 0 && d->own == 0)
        dirty_remove(d);
    return r;
}

int volatile_load(struct file *run, uint64_t index, const struct block_at *where,
                  const uint64_t *own, uint8_t *data)
{
    unsigned blocks = file_blocks(run);
    struct spill *spill;
    int r = get_spill(run, &spill);
    for (unsigned i = 0; r == 0 && i < blocks; i++)
        if (own[i / 64] >> (i % 64) & 1)
            r = spill_read(spill, index * blocks + i, where[i].at.record,
                           data + (size_t)i * BLOCK_SIZE);
    return r;
}

/* Folding. */

enum fate { FOLD_HOLE, FOLD_REF, FOLD_BLOCKS };

/* What becomes of a chunk of the layer. */
struct fold {
    struct file *run;
    uint64_t index;
    enum fate outcome;
    struct object_ref *ref;
};

struct folding {
    struct parcel *parcel;
    struct file **files; /* each with a reference: those below */
    size_t file_count;
    struct fold *folds;
    size_t count, from;
};

static void folding_free(struct folding *all)
{
    for (size_t i = 0; i < all->count; i++)
        ref_slots_give(all->parcel->refs, all->folds[i].ref);
    for (size_t i = 0; i < all->file_count; i++)
        file_put(all->files[i]);
    free(all->folds);
    free(all->files);
}

static int list_files(struct folding *all)
{
    struct parcel *p = all->parcel;
    LOCK_SCOPE(&p->names);
    all->files = calloc(HASH_CNT(hh_id, p->files), sizeof(struct file *));
    if (!all->files)
        return -ENOMEM;
    for (struct file *f = p->files; f; f = f->hh_id.next) {
        if (!f->run || f->unlinked)
            continue;
        f->references++;
        all->files[all->file_count++] = f;
    }
    return 0;
}

static int list_chunks(struct folding *all, struct file *run)
{
    LOCK_SCOPE(&run->lock);
    size_t count = all->count + HASH_CNT(hh, run->dirty);
    struct fold *folds = reallocarray(all->folds, count + 1, sizeof *folds);
    if (!folds)
        return -ENOMEM;
    all->folds = folds;
    for (struct dirty *d = run->dirty; d; d = d->hh.next)
        if (d->own > 0)
            folds[all->count++] = (struct fold){.run = run, .index = d->index};
    return 0;
}

/* Encodes one chunk. One that cannot be completed now stays as blocks, in memory. */
static int fold_item(void *ctx, size_t i)
{
    struct folding *all = ctx;
    struct fold *fold = &all->folds[all->from + i];
    struct file *run = fold->run;
    const uint8_t *data;
    bool evicted;
    int r;
    {
        LOCK_SCOPE(&run->lock);
        evicted = !dirty_find(run, fold->index)->data;
        r = dirty_complete(run, fold->index);
        data = dirty_find(run, fold->index)->data;
    }
    fold->outcome = FOLD_BLOCKS;
    if (r < 0)
        return (r == -EIO || r == -EHOSTDOWN) && data ? 0 : r;
    r = flush_encode_data(all->parcel, run, data, &fold->ref);
    if (r < 0)
        return r;
    fold->outcome = fold->ref ? FOLD_REF : FOLD_HOLE;
    LOCK_SCOPE(&run->lock);
    if (evicted)
        dirty_evict(dirty_find(run, fold->index));
    return 0;
}

/* The own blocks of a chunk become the file's. With the lock of the file below held; the layer is
 * still, for everything is frozen and this is the flusher. */
static int move_blocks(struct file *f, const struct dirty *from)
{
    struct dirty *d;
    int r = dirty_writable(f, from->index, &d);
    for (unsigned i = 0; r == 0 && i < file_blocks(f); i++) {
        if (!dirty_own(from, i))
            continue;
        memcpy(d->data + (size_t)i * BLOCK_SIZE, from->data + (size_t)i * BLOCK_SIZE, BLOCK_SIZE);
        dirty_set_own(d, i, i + 1, false);
    }
    return r;
}

static int move_ref(struct file *f, struct fold *fold)
{
    struct op op = {.type = OP_CHUNK, .file_id = f->file_id, .first = fold->index};
    dirty_drop(f, fold->index, fold->index + 1);
    struct dirty *d = dirty_add(f, fold->index);
    if (!d)
        return -ENOMEM;
    d->ref = steal_ptr(fold->ref);
    f->generation++;
    return ops_note(f->parcel, op);
}

static int move(struct fold *fold)
{
    struct file *run = fold->run, *f = run->below;
    struct dirty *from;
    {
        LOCK_SCOPE(&run->lock);
        from = dirty_find(run, fold->index);
    }
    int r;
    {
        LOCK_SCOPE(&f->lock);
        r = fold->outcome == FOLD_BLOCKS ? move_blocks(f, from)
            : fold->outcome == FOLD_REF  ? move_ref(f, fold)
                                         : file_punch_noted(f, fold->index, fold->index + 1);
    }
    LOCK_SCOPE(&run->lock);
    if (r == 0)
        dirty_remove(from);
    return r;
}

/* Holes lie below the chunks: they come first. */
static int move_holes(struct file *f)
{
    struct file *run = f->run;
    int r = 0;
    for (size_t i = 0; r == 0 && i < run->holes.count; i++) {
        LOCK_SCOPE(&f->lock);
        r = file_punch_noted(f, run->holes.ranges[i].first, run->holes.ranges[i].last);
    }
    return r;
}

static void move_attributes(struct file *f)
{
    struct file *run = f->run;
    LOCK_SCOPE(&run->lock);
    if (run->holes.count > 0)
        f->is_stale = false;
    holes_free(&run->holes);
    run->holes = (struct holes){0};
    LOCK_SCOPE(&f->lock);
    if (f->size == run->size && f->mtime.tv_sec == run->mtime.tv_sec &&
        f->mtime.tv_nsec == run->mtime.tv_nsec)
        return;
    f->size = run->size;
    f->mtime = run->mtime;
    file_attr_changed(f);
}

int volatile_fold(struct parcel *p)
{
    CLEANUP(folding_free) struct folding all = {.parcel = p};
    int r = list_files(&all);
    for (size_t i = 0; r == 0 && i < all.file_count; i++)
        r = list_chunks(&all, all.files[i]->run);
    for (; r == 0 && all.from < all.count; all.from += SLICE) {
        size_t left = all.count - all.from;
        r = pool_each(p->config.pool, left < SLICE ? left : SLICE, fold_item, &all);
    }
    for (size_t i = 0; r == 0 && i < all.file_count; i++)
        r = move_holes(all.files[i]);
    for (size_t i = 0; r == 0 && i < all.count; i++)
        r = move(&all.folds[i]);
    for (size_t i = 0; r == 0 && i < all.count; i++)
        all.folds[i].run->below->is_stale = false;
    for (size_t i = 0; r == 0 && i < all.file_count; i++)
        move_attributes(all.files[i]);
    return r;
}

/* For the mount. */

bool parcel_is_volatile(struct parcel *p, uint64_t file_id)
{
    LOCK_SCOPE(&p->names);
    const struct file *f = file_find(p, file_id);
    return f && f->run;
}

int parcel_open_for_writing(struct parcel *p, uint64_t file_id)
{
    CLEANUP_FILE struct file *f = NULL;
    int r = file_get_regular(p, file_id, &f);
    if (r < 0 || !f->run)
        return r;
    uint64_t size;
    {
        LOCK_SCOPE(&f->run->lock);
        size = f->run->size;
    }
    return volatile_reserve(f->run, size);
}
