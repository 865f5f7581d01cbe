/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Adding and removing rebuild the part of the array that the range touches. The array is short: it
 * lives only between two flushes, and a discarding guest names few and long ranges. */
#include "isrfs/parcel/holes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void holes_free(struct holes *h)
{
    free(h->ranges);
    *h = (struct holes){0};
}

/* The first range that ends above INDEX. */
static size_t position(const struct holes *h, uint64_t index)
{
    size_t low = 0, high = h->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (h->ranges[middle].last > index)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Replaces COUNT ranges from AT by those in NEW. */
static int splice(struct holes *h, size_t at, size_t count, const struct hole_range *with,
                  size_t new_count)
{
    size_t total = h->count - count + new_count;
    if (total > h->room) {
        size_t room = 2 * total + 8;
        struct hole_range *ranges = reallocarray(h->ranges, room, sizeof *ranges);
        if (!ranges)
            return -ENOMEM;
        h->ranges = ranges;
        h->room = room;
    }
    if (h->ranges)
        memmove(h->ranges + at + new_count, h->ranges + at + count,
                (h->count - at - count) * sizeof *h->ranges);
    for (size_t i = 0; i < new_count; i++)
        h->ranges[at + i] = with[i];
    h->count = total;
    return 0;
}

int holes_add(struct holes *h, uint64_t first, uint64_t last)
{
    if (first >= last)
        return 0;
    struct hole_range whole = {first, last};
    size_t at = position(h, first ? first - 1 : 0), end = at;
    while (end < h->count && h->ranges[end].first <= last) {
        if (h->ranges[end].first < whole.first)
            whole.first = h->ranges[end].first;
        if (h->ranges[end].last > whole.last)
            whole.last = h->ranges[end].last;
        end++;
    }
    return splice(h, at, end - at, &whole, 1);
}

int holes_remove(struct holes *h, uint64_t first, uint64_t last)
{
    if (first >= last)
        return 0;
    size_t at = position(h, first), end = at, kept = 0;
    struct hole_range rest[2];
    while (end < h->count && h->ranges[end].first < last) {
        if (h->ranges[end].first < first)
            rest[kept++] = (struct hole_range){h->ranges[end].first, first};
        if (h->ranges[end].last > last)
            rest[kept++] = (struct hole_range){last, h->ranges[end].last};
        end++;
    }
    return splice(h, at, end - at, rest, kept);
}

const struct hole_range *holes_find(const struct holes *h, uint64_t index)
{
    size_t at = position(h, index);
    return at < h->count && h->ranges[at].first <= index ? &h->ranges[at] : NULL;
}

const struct hole_range *holes_after(const struct holes *h, uint64_t index)
{
    size_t at = position(h, index);
    if (at < h->count && h->ranges[at].first <= index)
        at++;
    return at < h->count ? &h->ranges[at] : NULL;
}
