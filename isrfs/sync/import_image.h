/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The disk inside an image file, read through QEMU's own code in a process of its own. Private to
 * this folder. */
#ifndef ISRFS_SYNC_IMPORT_IMAGE_H
#define ISRFS_SYNC_IMPORT_IMAGE_H

#include "isrfs/sync/import_source.h"

struct import_image;

/* The format that the file FD begins like. What QEMU reads but isr does not (VHD, VHDX, QED) is
 * named in *RET_UNKNOWN, else NULL. 0 or negative errno. */
int import_image_detect(int fd, enum import_format *ret, const char **ret_unknown);

/* Checks the image and opens it; PATH is absolute and FD the same file. 0 or negative errno with
 * FAILURE. */
int import_image_open(const char *path, int fd, enum import_format format,
                      struct import_image **ret, struct failure *failure);
void import_image_close(struct import_image *image);

uint64_t import_image_size(const struct import_image *image);

/* As import_source_next and import_source_read; -EIO for both. */
int import_image_next(struct import_image *image, uint64_t offset, uint64_t *ret_start,
                      uint64_t *ret_end);
int import_image_read(struct import_image *image, void *data, size_t size, uint64_t offset);

#endif
