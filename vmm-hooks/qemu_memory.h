/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A guest's memory on its way between QEMU and a file: what resume and suspend have in common. */
#ifndef VMM_HOOKS_QEMU_MEMORY_H
#define VMM_HOOKS_QEMU_MEMORY_H

#include "vmm-hooks/qmp.h"

#define QEMU_MEMORY_FILE "mem.vmss"      /* a suspended guest: may be resumed */
#define QEMU_MEMORY_TEMP "mem.vmss.tmp"  /* being written */
#define QEMU_MEMORY_USED "mem.vmss.used" /* has been resumed from: must never be again */

/* Time limits in ms. The first is for what QEMU answers at once, the second for what may flush a
 * disk or read a whole kernel over a slow network. */
#define QEMU_MEMORY_SOON  30000
#define QEMU_MEMORY_LATER 600000

/* Begins the transfer COMMAND ("migrate" or "migrate-incoming") to or from FD at its position. QEMU
 * gets a duplicate: FD stays the caller's, and both share the position. Results as qmp_execute. */
int qemu_memory_begin(struct qmp *q, const char *command, int fd);

/* Waits until the transfer over FD is complete. 0; -EIO: it failed; -ESTALE: two minutes went by
 * without a byte; or as qmp_execute. */
int qemu_memory_wait(struct qmp *q, int fd);

#endif
