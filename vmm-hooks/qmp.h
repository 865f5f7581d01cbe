/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A client of QEMU's machine protocol (QMP) on a Unix socket. What comes from QEMU is not trusted:
 * a guest may have taken it over. One thread. */
#ifndef VMM_HOOKS_QMP_H
#define VMM_HOOKS_QMP_H

#include <jansson.h>

#include "isrfs/base/cleanup.h"

struct qmp;

/* Connects and greets within TIMEOUT_MS. INTERRUPT_FD, unless -1, is a descriptor that becomes
 * readable when the user has had enough: every call then ends with -EINTR. It stays the caller's.
 * 0, -ETIMEDOUT (nobody answers; or another client is connected), or as qmp_execute. */
int qmp_open(const char *path, int interrupt_fd, unsigned timeout_ms, struct qmp **ret);

/* Closes the connection; NULL is allowed. QEMU goes on. */
void qmp_free(struct qmp *q);

/* Runs COMMAND with ARGUMENTS (stolen; NULL for none) and passes FD along unless it is -1. *RET
 * (may be NULL) is the caller's to json_decref. 0; -EREMOTEIO: QEMU refused, see qmp_explain;
 * -ETIMEDOUT: whether it was done is unknown; -EPIPE: QEMU has hung up; -EBADMSG: not QMP; -EINTR;
 * -ENOMEM. */
int qmp_execute(struct qmp *q, const char *command, json_t *arguments, int fd, unsigned timeout_ms,
                json_t **ret);

/* Waits for the next event NAME since the last call and gives its data (the caller's). Errors as
 * qmp_execute; after -ETIMEDOUT one may call again. */
int qmp_wait_event(struct qmp *q, const char *name, unsigned timeout_ms, json_t **ret);

/* From now on no call ends with -EINTR: for what must not stay half done. */
void qmp_ignore_interrupts(struct qmp *q);

/* What the negative result R of the last call means, printable; for -EREMOTEIO QEMU's own reason. Q
 * may be NULL. Valid until the next call. */
const char *qmp_explain(const struct qmp *q, int r);

static inline void cleanup_qmp(struct qmp **q)
{
    qmp_free(*q);
}
#define CLEANUP_QMP CLEANUP(cleanup_qmp)

static inline void cleanup_json(json_t **json)
{
    json_decref(*json);
}
#define CLEANUP_JSON CLEANUP(cleanup_json)

#endif
