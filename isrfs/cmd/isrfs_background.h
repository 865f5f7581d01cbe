/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A program that goes on in the background once it has got to work, and whose caller gets the
 * verdict. */
#ifndef ISRFS_CMD_ISRFS_BACKGROUND_H
#define ISRFS_CMD_ISRFS_BACKGROUND_H

#include "isrfs/sync/checkout.h"

/* The child's side. A verdict is a failure (or OUTCOME_DONE) whose text is empty when everything
 * has been said already. */
struct isrfs_background;

/* Forks. In the child: returns 0 with *RET. In the parent: waits for the child's verdict and
 * returns 1 with *RET_VERDICT. Negative errno if there is no child. */
int isrfs_background_start(struct isrfs_background **ret, struct failure *ret_verdict);

/* In the child. Leaves the caller's session, folder and standard streams; messages go to the file
 * `messages` in the folder DIRFD, begun anew (the old one is `messages.1`) when it is large. 0 or
 * negative errno. */
int isrfs_background_detach(int dirfd);

/* Tells the parent, which ends. Once; B is released. B NULL: there is no parent, and a failure is
 * printed. */
void isrfs_background_tell(struct isrfs_background *b, const struct failure *verdict);

/* Prints a verdict, with the usage where it helps. The exit status. */
int isrfs_background_say(const struct failure *verdict);

#endif
