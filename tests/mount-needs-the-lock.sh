#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# No lock, no mount; the reason is one line that says who has it, where and since when.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
mount_at site_a vm m
fails 3 site_b isrfs vm n
in_one_line "$(id -un)" "$(uname -n)" "$tmp/a" "$(date +%Y-)"
if mountpoint -q n; then
    fail 'mounted without the lock'
fi
fails 3 site_b isr mount vm n
fails 3 site_b isr co vm
fails 3 site_b isr run vm
same disk.img m/disk.img
umount_at site_a m
mount_at site_b vm n
fails 3 site_a isrfs vm m
umount_at site_b n
