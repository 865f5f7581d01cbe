/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The files in which ssh keeps what keys hosts have: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
 * Certificate authorities in them are passed over. */
#ifndef LOCKCLIENT_KNOWN_HOSTS_H
#define LOCKCLIENT_KNOWN_HOSTS_H

#include <stddef.h>

struct known_hosts_key {
    char name[300]; /* of the host, by known_hosts_name */
    char *file;     /* of this user: a new host is added here */
    char *all_file; /* of all; may be NULL */
    const char *type;
    char *text;        /* base64 */
    char *fingerprint; /* for people */
};

/* The name that HOST has in these files. */
void known_hosts_name(const char *host, unsigned port, char *out, size_t room);

/* Is this the host's key? An unknown one is shown at the terminal and kept if the person says yes.
 * 0, -EKEYREJECTED, or why a file could not be read; then REASON has a line about it. */
int known_hosts_check(const struct known_hosts_key *k, char *reason, size_t room);

#endif
