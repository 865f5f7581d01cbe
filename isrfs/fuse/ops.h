/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The requests of the kernel, by theme: each function enters its handlers into OPS. A handler
 * decodes the request, calls the parcel (or virtual.h for what is not in the parcel), and replies
 * exactly once. */
#ifndef ISRFS_FUSE_OPS_H
#define ISRFS_FUSE_OPS_H

#include "isrfs/fuse/front.h"

void ops_name_install(struct fuse_lowlevel_ops *ops);   /* names in folders */
void ops_attr_install(struct fuse_lowlevel_ops *ops);   /* attributes, statfs, xattrs */
void ops_file_install(struct fuse_lowlevel_ops *ops);   /* what is in files */
void ops_folder_install(struct fuse_lowlevel_ops *ops); /* listing folders */

/* Enters a newly made file as open. Shared by open and create. */
int ops_file_opened(struct mount *m, struct fuse_file_info *fi, uint64_t file_id);
void ops_file_closed(struct mount *m, const struct fuse_file_info *fi, uint64_t file_id);

#endif
