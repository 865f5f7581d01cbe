/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a site log from its first segment to its torn end. Private to the site log. */
#ifndef ISRFS_PARCEL_SITE_LOG_SCAN_H
#define ISRFS_PARCEL_SITE_LOG_SCAN_H

#include "isrfs/parcel/segment.h"
#include "isrfs/parcel/site_log.h"

struct scan_result {
    struct segment **segments; /* in order; the caller's to free, and each of them */
    uint64_t *ends;            /* in the file of each: behind its last record; the caller's to
                                * free; NULL from salvage */
    size_t count;
    uint64_t bytes, torn_bytes;
    struct flush_point flushed; /* of the last segment: what is known to be on disk */
    uint64_t records, offset;   /* of the last segment: the end of what could be read */
};

/* Calls RECORD with each good record in order (its payload is valid during the call) until it
 * returns other than 0. -EBADMSG for damage (logged); what RECORD returned; or as the disk says. On
 * error nothing is left in RET. */
struct scan_visitor {
    int (*record)(void *ctx, struct segment *segment, const struct segment_record *record);
    int (*damage)(void *ctx, const struct log_damage *damage); /* for salvage */
    void *ctx;
};
int site_log_scan(const struct segment_keys *keys, int dirfd, const struct scan_visitor *visitor,
                  struct scan_result *ret);

/* Likewise for a log that is damaged: calls also, between records, for those that are lost.
 * -EBADMSG only if no segment can be read. With GIVE_UP a newest segment that cannot is set aside
 * (its file gets another name), so that the log can go on with its number. A log that has such a
 * file is damaged there, whatever has that number now. */
int site_log_salvage(const struct segment_keys *keys, int dirfd, bool give_up,
                     const struct scan_visitor *visitor, struct scan_result *ret);

/* For what lies behind the last good record of S (the next would be number RECORD at OFFSET): how
 * many records of S are said to have been on disk by any that still opens there. 0: by none. */
int site_log_salvage_promise(const struct segment_keys *keys, int dirfd, struct segment *s,
                             uint64_t offset, uint64_t record, uint64_t *ret);

/* For the newest segment, when opening it gave ERROR: a crash while it was made leaves it without a
 * header, and then nothing was in it yet. Removes such a file. 1 if it was one, 0, negative errno.
 */
int site_log_scan_unmade(int dirfd, uint64_t number, int error);

/* Is NAME that of a segment's file? Or (RET_ASIDE) of one that was set aside as damaged? */
bool site_log_scan_name(const char *name, uint64_t *ret_number, bool *ret_aside);
void site_log_scan_aside_name(char out[64], uint64_t number);
/* Sets it aside: its number is free for another. That it was there is still seen. */
int site_log_scan_set_aside(int dirfd, uint64_t number);

#endif
