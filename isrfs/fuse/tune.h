/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Settings of the kernel for one mount that only root can change. */
#ifndef ISRFS_FUSE_TUNE_H
#define ISRFS_FUSE_TUNE_H

#include <sys/types.h>

/* Tries to allow the file system DEVICE larger read-ahead and more dirty pages. */
void tune_mount(dev_t device);

#endif
