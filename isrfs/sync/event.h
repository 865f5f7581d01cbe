/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a command took, for whoever runs the lock server: words and numbers, no names. Only from a
 * site whose isr.conf says EVENTS:=yes. */
#ifndef ISRFS_SYNC_EVENT_H
#define ISRFS_SYNC_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "isrfs/sync/site.h"

struct event_number {
    const char *name; /* [a-z][a-z0-9-]* */
    uint64_t value;
};

/* EVENTS in isr.conf: yes, or no (the default). Anything else is no, and logged. */
bool event_wanted(const struct site *site);

/* Has a process of its own send it to SOURCE's lock server, and waits neither for that nor for what
 * becomes of it. Call it only if it is wanted. */
void event_send(const struct source *source, const char *event, const struct event_number *numbers,
                size_t count);

#endif
