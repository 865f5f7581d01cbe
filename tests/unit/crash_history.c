/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/crash_history.h"

#include <stdlib.h>
#include <string.h>

static void *room_for(void *array, long count, long *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room ? 2 * *room : 256;
    array = reallocarray(array, (size_t)*room, size);
    if (!array)
        abort();
    return array;
}

static void add_moment(struct crash_history *h, uint64_t digest, bool consistent, long before)
{
    h->moments = room_for(h->moments, h->moment_count, &h->moment_room, sizeof *h->moments);
    h->moments[h->moment_count++] = (struct crash_moment){digest, consistent, before};
}

static void mark(struct crash_history *h, struct crash_mark now)
{
    h->marks = room_for(h->marks, h->mark_count, &h->mark_room, sizeof *h->marks);
    h->now = now;
    h->marks[h->mark_count] = now;
    crash_trace_mark(h->mark_count++);
}

void crash_history_init(struct crash_history *h, uint64_t digest)
{
    memset(h, 0, sizeof *h);
    add_moment(h, digest, false, -1);
    h->now = (struct crash_mark){.acknowledged = -1};
}

void crash_history_free(struct crash_history *h)
{
    free(h->moments);
    free(h->marks);
}

void crash_history_begin(struct crash_history *h, uint64_t digest, bool consistent)
{
    const struct crash_moment *last = &h->moments[h->now.newest];
    consistent |= last->consistent && last->digest == digest;
    add_moment(h, digest, consistent, h->now.newest);
    struct crash_mark now = h->now;
    now.newest = h->moment_count - 1;
    mark(h, now);
}

void crash_history_acknowledge(struct crash_history *h)
{
    struct crash_mark now = h->now;
    now.acknowledged = now.newest;
    mark(h, now);
}

void crash_history_go_back(struct crash_history *h, long moment)
{
    struct crash_mark now = h->now;
    now.newest = moment;
    mark(h, now);
}

void crash_history_event(struct crash_history *h, long event)
{
    struct crash_mark now = h->now;
    now.event = event;
    mark(h, now);
}

const struct crash_mark *crash_history_at(const struct crash_history *h,
                                          const struct crash_trace *t, size_t prefix)
{
    while (prefix > 0 && t->ops[prefix - 1].kind != CRASH_MARK)
        prefix--;
    return prefix > 0 ? &h->marks[t->ops[prefix - 1].mark] : NULL;
}

long crash_history_find(const struct crash_history *h, const struct crash_mark *at, uint64_t digest,
                        bool any)
{
    for (long m = at->newest; m >= 0; m = h->moments[m].before) {
        if (h->moments[m].digest == digest)
            return m;
        if (m == at->acknowledged && !any)
            break;
    }
    return -1;
}

bool crash_history_consistent(const struct crash_history *h, const struct crash_mark *at,
                              uint64_t digest)
{
    for (long m = at->newest; m >= 0; m = m == at->acknowledged ? -1 : h->moments[m].before)
        if (h->moments[m].digest == digest && h->moments[m].consistent)
            return true;
    return false;
}
