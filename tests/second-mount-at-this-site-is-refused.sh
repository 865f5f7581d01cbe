#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A parcel that is mounted at this site is not mounted a second time.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
mount_at site_a vm m
fails 3 site_a isrfs vm n
in_one_line vm
fails 3 site_a isr mount vm n
if mountpoint -q n; then
    fail 'mounted twice'
fi
fails 3 site_a isr ci vm
same disk.img m/disk.img
umount_at site_a m
