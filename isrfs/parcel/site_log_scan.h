/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a site log from its first segment to its torn end. Private to the site log. */
#ifndef ISRFS_PARCEL_SITE_LOG_SCAN_H
#define ISRFS_PARCEL_SITE_LOG_SCAN_H

#include "isrfs/parcel/segment.h"

struct scan_result {
    struct segment **segments; /* in order; the caller's to free, and each of them */
    size_t count;
    uint64_t bytes, torn_bytes;
    struct flush_point flushed; /* the end of the last segment, as read: all of it is on disk now */
};

/* Calls FN with each good record in order (its payload is valid during the call) until it returns
 * other than 0. -EBADMSG for damage (logged); what FN returned; or as the disk says. On error
 * nothing is left in RET. */
int site_log_scan(const struct segment_keys *keys, int dirfd,
                  int (*fn)(void *ctx, struct segment *segment,
                            const struct segment_record *record),
                  void *ctx, struct scan_result *ret);

#endif
