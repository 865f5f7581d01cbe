/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A truncate and a commit, as a mount would do them. After a crash in between isr ci goes on. */
#include "isrfs/sync/resize.h"

#include <string.h>

#include "isrfs/base/log.h"
#include "isrfs/sync/commit.h"

static int failed(const struct checkout *c, const char *path, int r, struct failure *failure)
{
    char name[256];
    enum outcome outcome = r == -ENOENT || r == -ENOTDIR ? OUTCOME_UNKNOWN : outcome_of(r);
    return failure_set(failure, outcome, "%s: %s: %s", c->source.parcel,
                       log_clean(name, sizeof name, path), strerror(-r));
}

static int change(struct checkout *c, struct parcel *p, const char *path, uint64_t size,
                  const struct resize_question *question, uint64_t *ret_from,
                  struct failure *failure)
{
    struct parcel_attr attr;
    int r = parcel_find(p, path, &attr);
    if (r == 0 && attr.is_folder)
        r = -EISDIR;
    if (r < 0)
        return failed(c, path, r, failure);
    *ret_from = attr.size;
    if (size == attr.size)
        return 0;
    if (size < attr.size && !question->may_shrink(question->ctx, attr.size, size))
        return -ECANCELED;
    r = parcel_truncate(p, attr.file_id, size);
    if (r < 0)
        return failed(c, path, r, failure);
    struct committer *m = committer_new(c, p);
    r = m ? committer_commit(m, true) : -ENOMEM;
    committer_free(m);
    return r < 0 ? failed(c, path, r, failure) : 0;
}

int resize_file(struct checkout *c, const char *path, uint64_t size,
                const struct resize_question *question, uint64_t *ret_from, struct failure *failure)
{
    if (c->found.batches > 0 || !object_id_equal(&c->root.current.id, &c->root.base.id) ||
        !object_id_is_hole(&c->root.publishing.id))
        return failure_set(failure, OUTCOME_FAILED,
                           "%s has changes at this site that are not checked in: isr ci %s first",
                           c->source.parcel, c->source.parcel);
    struct parcel *p = NULL;
    int r = checkout_parcel(c, 0, &p, failure);
    if (r < 0)
        return r;
    r = change(c, p, path, size, question, ret_from, failure);
    parcel_close(p);
    if (r == 0)
        c->parcel_opened = false; /* everything in the log is in a root */
    return r;
}
