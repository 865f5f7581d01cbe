/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A parcel on a log and nothing else, as tests of crashes open it again and again. Whatever fails
 * is returned: the disk below may fail on purpose. */
#ifndef ISRFS_TESTS_CRASH_PARCEL_H
#define ISRFS_TESTS_CRASH_PARCEL_H

#include "isrfs/parcel/parcel.h"

struct crash_parcel {
    struct codec *codec;
    struct object_secret secret;
    int dirfd; /* the rest is there while it is open */
    struct site_log *log;
    struct parcel *parcel;
};

void crash_parcel_init(struct crash_parcel *c);
void crash_parcel_free(struct crash_parcel *c);

/* The parcel whose log lies in FOLDER; a new one if there is none and MAKE. What did not open has
 * to be closed too. */
int crash_parcel_open(struct crash_parcel *c, const char *folder, bool make);
/* As the end of a process: nothing is written any more. */
void crash_parcel_close(struct crash_parcel *c);

/* As an fsync, and as an unmount or (without WAIT) a commit of what needs nothing from elsewhere.
 * CONSISTENT: nothing is running. */
int crash_parcel_keep(struct crash_parcel *c, bool consistent);
int crash_parcel_commit(struct crash_parcel *c, bool wait, bool consistent);
/* Shortens the log as the carrier does: a cut, a commit, all that it reaches is put elsewhere, and
 * what lies before the cut is dropped. Elsewhere is behind the cut: there is no home. */
int crash_parcel_trim(struct crash_parcel *c);

#endif
