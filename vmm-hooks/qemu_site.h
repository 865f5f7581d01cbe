/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What this site says about running QEMU. It comes from the environment, which `isr run` fills from
 * isr.conf; a parcel has no say in it. */
#ifndef VMM_HOOKS_QEMU_SITE_H
#define VMM_HOOKS_QEMU_SITE_H

#include <stdbool.h>

#include "isrfs/base/cleanup.h"

struct qemu_site {
    char *folder;        /* DIR, absolute and resolved */
    char *program;       /* absolute path of QEMU; NULL: not installed */
    char *rundir;        /* absolute; for sockets and the pid, never inside DIR */
    const char *accel;   /* as the site says, or NULL: find out */
    char **args;         /* extra arguments, ends with NULL */
    char *args_text;     /* what they point into */
    bool net_restricted; /* a guest with NET=user reaches nothing but itself */
    unsigned poweroff_seconds;
};

/* Reads the environment for the guest in DIR. Changes nothing on disk. *RET is the caller's. 0, or
 * negative errno after one logged line. */
int qemu_site_read(const char *dir, struct qemu_site **ret);

void qemu_site_free(struct qemu_site *site); /* NULL is allowed */

/* Whether the site's own arguments hold the option NAME ("-serial"). */
bool qemu_site_has(const struct qemu_site *site, const char *name);

/* "kvm", "tcg" or what the site asks for. May take a second. */
const char *qemu_site_accel(const struct qemu_site *site);

static inline void cleanup_qemu_site(struct qemu_site **site)
{
    qemu_site_free(*site);
}
#define CLEANUP_QEMU_SITE CLEANUP(cleanup_qemu_site)

#endif
