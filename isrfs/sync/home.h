/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The URL of a parcel's home, SCHEME://path (DESIGN 5). FILE, any folder that is mounted, is the
 * one scheme of this release; others are refused by name. */
#ifndef ISRFS_SYNC_HOME_H
#define ISRFS_SYNC_HOME_H

#include "isrfs/store/folder.h"
#include "isrfs/sync/checkout.h"

/* The time limits of isr.conf, in milliseconds. */
struct home_limits {
    unsigned call_ms; /* HOME_TIMEOUT: for a call to a home that may hang */
    unsigned wait_ms; /* HOME_WAIT: for a read while the home is away */
};

/* 0, or -EINVAL with FAILURE filled in. */
int home_limits(const struct site *s, struct home_limits *ret, struct failure *failure);

/* A number of seconds (0 to 86400) in milliseconds, or "forever": UINT_MAX. -EINVAL. */
int home_read_wait(const char *text, unsigned *ret_ms);

/* Opens the store in a folder that is mounted: in this process, or by a child process where the
 * kernel may hold whoever asks for ever. CONFIG->pool serves only the first. With CREATE a store is
 * made in an empty or missing folder, and of one that is there the marker is taken as it is;
 * RET_UUID (may be NULL otherwise) gets its uuid. Errors as folder_open, and folder_create's. */
int home_open(const struct folder_config *config, const struct home_limits *limits,
              const enum folder_fanout *create, struct store **ret,
              char ret_uuid[STORE_UUID_HEX + 1]);

/* Likewise for one that could not be opened (-EHOSTDOWN): its calls give -EHOSTDOWN until it is
 * there. Always by a child process. */
int home_open_later(const struct folder_config *config, const struct home_limits *limits,
                    struct store **ret);

/* Ends the calls that are under way to a home that may hang, with -EHOSTDOWN; later calls are
 * served. Does nothing to one that is worked on in this process. */
void home_interrupt(struct store *home);

/* What a person gives, a URL or a plain path, as a URL with an absolute, resolved path (as far as
 * that can be had without asking a file system that may hang). The caller's. 0 or negative errno
 * with FAILURE filled in. */
int home_url(const char *text, char **ret_url, struct failure *failure);

/* The folder that a URL names; points into URL. NULL with FAILURE filled in. */
const char *home_folder(const char *url, struct failure *failure);

#endif
