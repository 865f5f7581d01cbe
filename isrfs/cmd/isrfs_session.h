/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One mount of a parcel, from the first check of the arguments to the end of the check-in. */
#ifndef ISRFS_CMD_ISRFS_SESSION_H
#define ISRFS_CMD_ISRFS_SESSION_H

#include "isrfs/cmd/isrfs_background.h"
#include "isrfs/cmd/isrfs_options.h"

/* Does it all. Tells BACKGROUND (NULL: in the foreground) once the mount can be used, or why it
 * cannot. The outcome of the whole. */
enum outcome isrfs_session(const struct isrfs_options *options,
                           struct isrfs_background *background);

#endif
