/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A new parcel from plain files, and a plain file from a parcel. */
#ifndef ISRFS_SYNC_IMPORT_H
#define ISRFS_SYNC_IMPORT_H

#include "isrfs/base/words.h"
#include "isrfs/sync/checkin.h"

struct import_file {
    /* The source: a raw image or any file. qcow2, vmdk and vdi images are converted on the way,
     * unless NAME ends like one of them. */
    const char *path;
    /* Path in the parcel. NULL: `disk.img` for the first disk image, unless a file has that name
     * already; else the source's own name. */
    const char *name;
};

struct import_config {
    const struct source *source; /* where the parcel is to be */
    const char *src;             /* the home, SCHEME://path or a folder; NULL: as the server says */
    uint32_t chunk_size;         /* 0: the default */
    const char *comment;         /* may be NULL */
    const struct import_file *files;
    size_t count;
};

struct import_result {
    uint64_t bytes;      /* logical */
    uint64_t data_bytes; /* that are not holes */
    uint64_t objects, stored_bytes;
    char *src;                      /* where it went; the caller's */
    bool embedded;                  /* the lock server is a folder on this machine, */
    bool first;                     /* and was made just now */
    char recovery[WORDS_TEXT_SIZE]; /* the user's first parcel: the recovery key, to be shown and
                                     * wiped; else empty */
};

/* Makes the home when it is missing or empty, writes every object there, and creates the parcel at
 * the lock server as version 1. Nothing can be seen of it before that. 0 or negative errno with
 * FAILURE. */
int import_parcel(const struct site *site, const struct import_config *config,
                  const struct progress *progress, struct import_result *ret,
                  struct failure *failure);

/* Writes the file at PATH of an open parcel to OUT as a plain sparse file ("-": standard output),
 * which must not exist. Flushed when this returns. */
int export_file(struct parcel *p, const char *path, const char *out,
                const struct progress *progress, struct failure *failure);

#endif
