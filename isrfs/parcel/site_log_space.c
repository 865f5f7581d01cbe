/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is set aside for whoever makes room on a full disk.
 *
 * A process that was killed while it made room has used it. Then the next one gives back what the
 * segments have reserved behind their last records, and sets aside what it gets, a whole segment or
 * less. That is enough for the tail of the last segment, which has to be moved: while less than a
 * segment is set aside, so much of the last one is kept free that what others put into it fits into
 * both (site_log_append.c). Moving the tail gives back as much as it takes. So a recovery may be
 * killed again and again. */
#include <string.h>

#include "isrfs/base/io.h"
#include "isrfs/base/log.h"
#include "isrfs/parcel/segment_space.h"
#include "isrfs/parcel/site_log_internal.h"

int site_log_set_aside(struct site_log *l)
{
    int r = segment_space_set_aside(l->dirfd);
    uint64_t spare = segment_space_aside(l->dirfd);
    LOCK_SCOPE(&l->lock);
    l->spare = spare;
    return r;
}

bool site_log_has_spare(struct site_log *l)
{
    LOCK_SCOPE(&l->lock);
    return l->spare >= SEGMENT_SIZE;
}

void site_log_open_space(struct site_log *l, const uint64_t *ends)
{
    size_t count = l->segment_count;
    uint64_t next = count ? segment_number(l->segments[count - 1]) + 1 : 1;
    segment_remove_hidden(l->dirfd, next); /* of a repair that was cut short */
    int r = site_log_set_aside(l);
    if (io_is_full(r) && ends) {
        for (size_t i = 0; i < count; i++)
            segment_space_give_back(l->dirfd, segment_number(l->segments[i]), ends[i]);
        r = site_log_set_aside(l);
    }
    if (r < 0)
        log_warning("only %u MiB could be set aside for the site log: %s",
                    (unsigned)(l->spare >> 20), strerror(-r));
}

/* With the lock held: from now on nobody reads from where it was. */
static void wait_readers(struct site_log *l)
{
    l->dropping = true;
    while (l->readers > 0)
        pthread_cond_wait(&l->changed, &l->lock);
    l->dropping = false;
    pthread_cond_broadcast(&l->changed);
}

void site_log_tail_moved(struct site_log *l, const struct segment *from, uint64_t end)
{
    if (site_log_has_spare(l))
        return;
    {
        LOCK_SCOPE(&l->lock);
        wait_readers(l);
    }
    int r = segment_space_give_back(l->dirfd, segment_number(from), end);
    if (r == 0)
        r = site_log_set_aside(l);
    if (r < 0 && !io_is_full(r))
        log_warning("no space could be set aside for the site log: %s", strerror(-r));
}
