/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verb `resume`. */
#ifndef VMM_HOOKS_QEMU_RESUME_H
#define VMM_HOOKS_QEMU_RESUME_H

#include "vmm-hooks/qemu_settings.h"
#include "vmm-hooks/qemu_site.h"

/* Resumes the guest in the folder DIRFD from mem.vmss, or boots it if there is none. 0 once it
 * runs; else negative errno after one logged line, no QEMU is left, and mem.vmss is there under its
 * name unless the guest may have run. A readable INTERRUPT_FD ends the attempt. */
int qemu_resume_guest(const struct qemu_site *site, const struct qemu_settings *settings, int dirfd,
                      int interrupt_fd);

#endif
