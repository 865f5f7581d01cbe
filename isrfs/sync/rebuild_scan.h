/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the version records in a store say to who has the recovery key. Private to this folder. */
#ifndef ISRFS_SYNC_REBUILD_SCAN_H
#define ISRFS_SYNC_REBUILD_SCAN_H

#include "isrfs/sync/version.h"

struct rebuild_version {
    uint64_t number, time;
    struct object_id catalog;
    bool opened; /* the record, by the recovery key: it is ours and unchanged */
    int error;   /* 0: the catalog is there and good */
};

struct rebuild_found {
    char uuid[LOCKCLIENT_UUID_SIZE];
    char parcel[LOCKCLIENT_NAME_SIZE]; /* as the newest record that opened says; else empty */
    struct rebuild_version *versions;  /* the newest first */
    size_t count, opened, good;
};

struct rebuild_list {
    struct rebuild_found *parcels;
    size_t count;
};

/* Reads every version record in HOME, and the catalog of each that RECOVERY opens. 0, or -ENOMEM,
 * -EFBIG for more records than any parcel has, or as the store says. */
int rebuild_scan(struct store *home, const uint8_t *recovery, struct rebuild_list *ret);
void rebuild_list_free(struct rebuild_list *list);
#define CLEANUP_REBUILD_LIST CLEANUP(rebuild_list_free)

/* The record of a version that was found, opened again: the keyroot is the caller's to wipe. Errors
 * as version_get, version_open. */
int rebuild_reopen(struct store *home, const struct rebuild_found *p,
                   const struct rebuild_version *v, const uint8_t *recovery, struct version *ret);

#endif
