/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to the remote store: which file system a path lies on, by the list of mounts alone. */
#ifndef ISRFS_STORE_REMOTE_MOUNTS_H
#define ISRFS_STORE_REMOTE_MOUNTS_H

#include <stdbool.h>
#include <stdio.h>

/* remote_is_needed by this LIST, in the form of /proc/self/mountinfo. Symlinks are read from where
 * the list says that it is local. */
bool remote_mounts_need(FILE *list, const char *path);
/* remote_resolve by this LIST (NULL: nothing is local). */
int remote_mounts_resolve(FILE *list, const char *path, char **ret);

#endif
