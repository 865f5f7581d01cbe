/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The address of the control socket. A socket's path may have 107 bytes only and a state folder's
 * may be longer, so it is named by way of the folder's descriptor. */
#ifndef ISRFS_FUSE_CONTROL_SOCKET_H
#define ISRFS_FUSE_CONTROL_SOCKET_H

#define CONTROL_NAME "control"

/* A listening socket in the folder DIRFD, mode 0600, in place of one that a daemon which is no more
 * has left. The caller must hold the parcel's lock at this site. The descriptor or negative errno.
 */
int control_socket_listen(int dirfd);

/* Connects; for blocking use. The descriptor or negative errno. */
int control_socket_connect(int dirfd);

#endif
