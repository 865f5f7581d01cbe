#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A qcow2 image becomes the raw disk that it stands for; holes stay holes.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires qemu-img qemu-utils

real_image raw.img
qemu-img convert -f raw -O qcow2 -c raw.img disk.qcow2
new_parcel vm disk.qcow2
mount_at site_a vm m
same raw.img m/disk.img
umount_at site_a m
site_b isr export vm disk.img out
same raw.img out
[ "$(stat -c '%b' out)" -lt "$(($(stat -c %s out) / 512 * 9 / 10))" ] || fail 'the holes are gone'
