/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Before a commit changes the first keyring: are the nodes at hand that it will change? One that
 * has begun and finds a node away cannot be taken back, and until it is done the journal takes
 * nothing more; so it must not begin while the home is away. Reading the nodes here leaves them in
 * the keyrings, where the commit finds them a moment later. Those of a file with very many are not
 * kept that long, so only the first are looked at: if the home answers for these, it is there. */
#include <stdlib.h>
#include <string.h>

#include "isrfs/base/secret.h"
#include "isrfs/parcel/parcel_internal.h"

#define LEAVES_MAX 256u

struct leaves {
    uint64_t *numbers; /* of level 0 nodes */
    size_t count;
};

static void leaves_free(struct leaves *l)
{
    free(l->numbers);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Only a node that stays in part has to be read. */
static void add_boundary(struct leaves *l, uint64_t index)
{
    if (index % KEYRING_FANOUT != 0)
        l->numbers[l->count++] = index / KEYRING_FANOUT;
}

/* With the file's lock held. */
static int list_leaves(struct file *f, struct leaves *l)
{
    size_t room = HASH_CNT(hh, f->dirty) + 2 * f->holes.count;
    l->numbers = calloc(room + 1, sizeof *l->numbers);
    if (!l->numbers)
        return -ENOMEM;
    for (const struct dirty *d = f->dirty; d; d = d->hh.next)
        if (d->ref || d->own > 0)
            l->numbers[l->count++] = d->index / KEYRING_FANOUT;
    for (size_t i = 0; i < f->holes.count; i++) {
        add_boundary(l, f->holes.ranges[i].first);
        add_boundary(l, f->holes.ranges[i].last);
    }
    qsort(l->numbers, l->count, sizeof *l->numbers, compare);
    return 0;
}

static int ready_file(struct file *f)
{
    CLEANUP(leaves_free) struct leaves l = {0};
    int r;
    {
        LOCK_SCOPE(&f->lock);
        r = list_leaves(f, &l);
    }
    unsigned seen = 0;
    for (size_t i = 0; r == 0 && i < l.count && seen < LEAVES_MAX; i++) {
        struct object_ref ref;
        if (i > 0 && l.numbers[i] == l.numbers[i - 1])
            continue;
        r = keyring_lookup(f->keyring, l.numbers[i] * KEYRING_FANOUT, &ref);
        secret_wipe(&ref, sizeof ref);
        seen++;
    }
    return r;
}

struct files {
    struct file **list; /* each with a reference */
    size_t count;
};

static void files_free(struct files *files)
{
    for (size_t i = 0; i < files->count; i++)
        file_put(files->list[i]);
    free(files->list);
}

/* The changed ones that have a name. */
static int list_files(struct parcel *p, struct files *files)
{
    LOCK_SCOPE(&p->names);
    files->list = calloc(HASH_CNT(hh_id, p->files), sizeof *files->list);
    if (!files->list)
        return -ENOMEM;
    for (struct file *f = p->files; f; f = f->hh_id.next) {
        LOCK_SCOPE(&f->lock);
        if (f->is_folder || f->unlinked || (!f->dirty && f->holes.count == 0))
            continue;
        f->references++;
        files->list[files->count++] = f;
    }
    return 0;
}

int ready_nodes(struct parcel *p)
{
    CLEANUP(files_free) struct files files = {0};
    int r = list_files(p, &files);
    for (size_t i = 0; r == 0 && i < files.count; i++)
        r = ready_file(files.list[i]);
    return r;
}
