/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The site log that tests of isrfs/parcel have on disk, and the catalog that a parcel begins with.
 */
#ifndef ISRFS_TESTS_LOG_FIXTURE_H
#define ISRFS_TESTS_LOG_FIXTURE_H

#include "isrfs/parcel/parcel.h"

/* The folder "log" below DIRFD, always of the same session. */
struct site_log_config log_fixture_config(int dirfd, struct codec *codec);
int log_fixture_open(int dirfd, struct codec *codec, struct site_log **ret);

/* Puts a catalog without files into STORE. */
int log_fixture_put_empty(struct codec *codec, const struct object_secret *secret,
                          struct store *store, struct object_ref *ret);

#endif
