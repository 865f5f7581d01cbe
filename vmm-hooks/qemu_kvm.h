/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether KVM works here, and not only opens. */
#ifndef VMM_HOOKS_QEMU_KVM_H
#define VMM_HOOKS_QEMU_KVM_H

#include <stdbool.h>

/* Runs a few instructions in a virtual machine of its own, in a child process that has a second to
 * do it, and asks for what every processor with hardware virtualization offers to guests. */
bool qemu_kvm_works(void);

#endif
