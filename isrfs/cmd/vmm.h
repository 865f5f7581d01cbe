/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Running of VMM hooks (DESIGN 9): vmm-hooks/<vmm> VERB DIR. */
#ifndef ISRFS_CMD_VMM_H
#define ISRFS_CMD_VMM_H

#include <sys/types.h>

#include "isrfs/cmd/cmd.h"

struct vmm;

/* Finds the hook for the VMM that isr.conf (or NAME, unless NULL) says, and hands the site's
 * settings on in the environment. NULL after a line that says why. */
struct vmm *vmm_open(const struct cmd *c, const char *name, const char *dir);
void vmm_close(struct vmm *v);

/* Starts the hook with VERB, in a process group of its own so that what is typed on the terminal
 * reaches only us. The child's id, or negative errno (said). */
pid_t vmm_start(struct vmm *v, const char *verb);

/* Waits for what vmm_start gave; its exit status, 128 + signal. */
int vmm_wait(pid_t child);

/* Both. */
int vmm_run(struct vmm *v, const char *verb);

static inline void vmm_cleanup(struct vmm **v)
{
    vmm_close(*v);
}
#define CLEANUP_VMM CLEANUP(vmm_cleanup)

#endif
