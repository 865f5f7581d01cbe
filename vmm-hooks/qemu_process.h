/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The QEMU of one guest as a process: at most one for each run folder, found again by later hooks.
 * The run folder holds two sockets and the pid, nothing of the guest. One thread. */
#ifndef VMM_HOOKS_QEMU_PROCESS_H
#define VMM_HOOKS_QEMU_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "isrfs/base/cleanup.h"

/* What QEMU finds under these numbers. */
enum qemu_process_fd {
    QEMU_PROCESS_FD_DIR = 3, /* the guest's folder */
    QEMU_PROCESS_FD_QMP,     /* a listening socket */
    QEMU_PROCESS_FD_SERIAL,  /* likewise, for the serial console, if asked for */
    QEMU_PROCESS_FD_LOCK,    /* held for as long as QEMU lives */
    QEMU_PROCESS_FD_END
};

struct qemu_process;

/* Takes the run folder (made if need be, 0700) for a QEMU that is to be started. 0; -EBUSY: one
 * runs or is being started; other errno after one logged line. */
int qemu_process_claim(const char *rundir, struct qemu_process **ret);

/* Starts the program ARGV[0] for the guest in DIRFD, in a session of its own, with a socket for the
 * console if SERIAL. Its standard error goes to 64 KiB of memory. 0, or negative errno after one
 * logged line. */
int qemu_process_start(struct qemu_process *p, char *const *argv, int dirfd, bool serial);

/* Finds the running QEMU. 0; -ESRCH: none; -EBUSY: one is just being started; other errno after one
 * logged line. */
int qemu_process_find(const char *rundir, struct qemu_process **ret);

/* Ends our part in it; a QEMU that runs goes on. NULL is allowed. */
void qemu_process_free(struct qemu_process *p);

pid_t qemu_process_pid(const struct qemu_process *p);

/* The path of its QMP socket. */
const char *qemu_process_qmp_path(const struct qemu_process *p);

/* Waits until QEMU has ended; TIMEOUT_MS -1 for as long as it takes. 0 or -ETIMEDOUT. */
int qemu_process_wait(struct qemu_process *p, int timeout_ms);

/* Kills it and waits until it is gone. */
void qemu_process_kill(struct qemu_process *p);

/* Copies the first complaint that a QEMU started by us wrote to standard error, printable; "" if
 * there is none. Returns OUT. */
const char *qemu_process_complaint(const struct qemu_process *p, char *out, size_t room);

static inline void cleanup_qemu_process(struct qemu_process **p)
{
    qemu_process_free(*p);
}
#define CLEANUP_QEMU_PROCESS CLEANUP(cleanup_qemu_process)

#endif
