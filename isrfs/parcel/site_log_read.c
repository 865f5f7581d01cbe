/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading records back while the log is used: from the image what is not known to be on disk, else
 * from the file; from its new place what was moved (site_log_repair.c); not at all from segments
 * that were dropped (site_log_trim.c), which wait until nobody reads. */
#include "isrfs/parcel/site_log_internal.h"

/* With the lock held: where what was at AT is now. */
static void resolve(const struct site_log *l, struct log_at *at)
{
    const struct moved *m;
    do {
        LL_FOREACH(l->moved, m)
        if (m->from == at->segment && at->record >= m->first && at->record - m->first < m->count)
            break;
        if (m)
            *at = m->to[at->record - m->first];
    } while (m);
}

int site_log_read(struct site_log *l, const struct log_at *at, struct buffer *buffer,
                  struct segment_record *ret)
{
    struct log_at now = *at;
    bool image;
    {
        LOCK_SCOPE(&l->lock);
        while (l->dropping)
            pthread_cond_wait(&l->changed, &l->lock);
        resolve(l, &now);
        if (!now.segment)
            return -EBADMSG;
        if (segment_is_closed(now.segment))
            return -ENOENT;
        l->readers++;
        image = l->writable && now.segment == l->segments[l->segment_count - 1] &&
                now.offset >= l->flushed_offset;
        l->image_readers += image;
    }
    int r = image ? segment_read_image(&l->keys, now.segment, now.offset, now.record, buffer, ret)
                  : segment_read(&l->keys, now.segment, now.offset, now.record, buffer, ret);
    LOCK_SCOPE(&l->lock);
    l->readers--;
    l->image_readers -= image;
    if (l->readers == 0 || (image && l->image_readers == 0))
        pthread_cond_broadcast(&l->changed);
    return r == -ENODATA ? -EBADMSG : r;
}
