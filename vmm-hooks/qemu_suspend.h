/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verb `suspend`. */
#ifndef VMM_HOOKS_QEMU_SUSPEND_H
#define VMM_HOOKS_QEMU_SUSPEND_H

#include "vmm-hooks/qemu_site.h"

/* Stops the guest in the folder DIRFD, writes its memory to mem.vmss and ends QEMU. 0: mem.vmss and
 * disk.img are flushed and fit each other. Else negative errno after one logged line; the guest
 * goes on if it ran before, and there is no mem.vmss. */
int qemu_suspend_guest(const struct qemu_site *site, int dirfd);

#endif
