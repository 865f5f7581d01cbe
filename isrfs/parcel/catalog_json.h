/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The catalog's JSON <-> its table. Private to this folder.
 *
 * {"next_id":n,"files":[{"id":n,"path":"...","type":"file"|"folder","mode":n,"mtime":[s,ns],
 * "size":n,"chunk":n,"height":n,"key":"64 hex","volatile":true},...]}: size to key for files only,
 * volatile where it is. */
#ifndef ISRFS_PARCEL_CATALOG_JSON_H
#define ISRFS_PARCEL_CATALOG_JSON_H

#include "isrfs/parcel/catalog.h"

#define CATALOG_JSON_MAX (32u << 20) /* bytes of JSON */

/* Why a catalog is not taken: one line without secrets, fit to be logged. */
struct catalog_why {
    char text[160];
};

/* Notes the reason and returns -EBADMSG. */
int catalog_json_refuse(struct catalog_why *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends the JSON of a table that has been checked. 0, -EFBIG beyond CATALOG_JSON_MAX, -ENOMEM.
 * OUT must be released with buffer_free_secret. */
int catalog_json_write(const struct catalog *c, struct buffer *out);

/* Reads JSON into an empty table: the form, the fields, their types. The ids of the roots are not
 * in it and stay holes; what the values must be to each other is for the caller to check. -EBADMSG
 * with a reason, -ENOMEM. */
int catalog_json_read(const void *text, size_t size, struct catalog *c, struct catalog_why *why);

#endif
