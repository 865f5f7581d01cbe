/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a parcel may say about its guest: DIR/qemu.conf. It comes with the parcel, perhaps from a
 * stranger, so it is data: a fixed list of keys, each with its pattern, none of them a path or an
 * argument. See isr-vmm-hook(7). */
#ifndef VMM_HOOKS_QEMU_SETTINGS_H
#define VMM_HOOKS_QEMU_SETTINGS_H

#include <stdint.h>

#define QEMU_SETTINGS_FILE        "qemu.conf"
#define QEMU_SETTINGS_CMDLINE_MAX 512

struct qemu_settings {
    char machine[32]; /* versioned, so that it is the same machine under a newer QEMU */
    char cpu[48];
    uint64_t memory_mib;
    uint64_t cpus;
    const char *disk_bus; /* "virtio", "scsi" or "ide" */
    const char *video;    /* "none", "std" or "virtio" */
    const char *net;      /* "none" or "user" */
    const char *rtc;      /* "utc" or "localtime" */
    char cmdline[QEMU_SETTINGS_CMDLINE_MAX + 1];
};

/* Reads qemu.conf in the folder DIRFD; what it does not say, or all if it is not there, has its
 * default. 0, or negative errno after one logged line (-EBADMSG: something in it is refused). */
int qemu_settings_read(int dirfd, struct qemu_settings *ret);

#endif
