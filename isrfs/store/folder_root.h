/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to the folder store: the store's folder, held open, and its marker. */
#ifndef ISRFS_STORE_FOLDER_ROOT_H
#define ISRFS_STORE_FOLDER_ROOT_H

#include <stdatomic.h>
#include <sys/types.h>

#include "isrfs/store/folder.h"

#define FOLDER_MARKER "isrfs-store"

/* Constant once it has been installed, but for refs. */
struct folder_root {
    atomic_uint refs;
    int fd;
    dev_t dev;
    ino_t ino;
    bool local;          /* syncfs makes everything durable, and reports errors */
    unsigned generation; /* of struct folder_flush, when this root was installed */
    enum folder_fanout fanout;
    char uuid[STORE_UUID_HEX + 1];
};

/* Opens PATH and reads the marker through that descriptor. -EHOSTDOWN when the folder or the marker
 * is missing, damaged or not UUID's (NULL takes any), -ENOMEM, or as the system says; *RET_REASON
 * then says it for people (static text). *RET has one reference. */
int folder_root_open(const char *path, const char *uuid, struct folder_root **ret,
                     const char **ret_reason);

/* References. folder_root_drop allows NULL and closes with the last one. */
struct folder_root *folder_root_keep(struct folder_root *root);
void folder_root_drop(struct folder_root *root);

static inline void cleanup_folder_root(struct folder_root **root)
{
    folder_root_drop(*root);
}
#define CLEANUP_FOLDER_ROOT CLEANUP(cleanup_folder_root)

/* Is the folder still there, with a marker? (Not whose: that was read when it was opened.) */
bool folder_root_alive(const struct folder_root *root);

/* Is it also still what PATH names? */
bool folder_root_is(const struct folder_root *root, const char *path);

/* Opens a folder below, of one or more parts, none of which may be a symlink; with MAKE the parts
 * that are missing are made. A descriptor (for paths relative to it only) or negative errno. */
int folder_root_subfolder(const struct folder_root *root, const char *path, bool make);

/* The text of a marker. 0 or -ENOMEM. */
int folder_root_format_marker(enum folder_fanout fanout, const char *uuid, struct buffer *out);

#endif
