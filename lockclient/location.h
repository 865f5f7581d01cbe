/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a lock server on another machine is: ssh://[user@]host[:port]. Nothing in it can be taken
 * for an option or needs quoting. */
#ifndef LOCKCLIENT_LOCATION_H
#define LOCKCLIENT_LOCATION_H

#include <stdbool.h>

struct location {
    char user[65];  /* empty: not given */
    char host[256]; /* a name or an address, an IPv6 one without its brackets */
    char port[6];   /* empty: not given */
};

/* False for what is not of this form. */
bool location_parse(const char *url, struct location *ret);

#endif
