/* SPDX-License-Identifier: GPL-3.0-or-later */
/* QEMU's command line for a guest. */
#ifndef VMM_HOOKS_QEMU_COMMAND_H
#define VMM_HOOKS_QEMU_COMMAND_H

#include <stdbool.h>

#include "vmm-hooks/qemu_settings.h"
#include "vmm-hooks/qemu_site.h"

struct qemu_command {
    const struct qemu_settings *settings;
    const struct qemu_site *site;
    bool kernel;   /* the parcel holds vmlinuz */
    bool initrd;   /* and initrd.img */
    bool incoming; /* the guest is to be resumed */
};

/* The arguments, ending with NULL, for qemu_process_start: they name the descriptors of enum
 * qemu_process_fd. The guest does not run before QMP's `cont`. NULL: out of memory. */
char **qemu_command_new(const struct qemu_command *c);

void qemu_command_free(char **argv); /* NULL is allowed */

static inline void cleanup_qemu_command(char ***argv)
{
    qemu_command_free(*argv);
}
#define CLEANUP_QEMU_COMMAND CLEANUP(cleanup_qemu_command)

#endif
