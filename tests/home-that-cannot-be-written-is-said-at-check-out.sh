#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A home on which nothing can be written is refused when checking out, not when checking in.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
if [ "$(id -u)" -eq 0 ]; then
    mount --bind "$home" "$home"
    mount -o remount,bind,ro "$home"
else
    find "$home" -type d -exec chmod a-w '{}' +
fi
fails 6 site_a isrfs vm m
says "$home"
[ -z "$(holder vm)" ] || fail 'the lock is kept'
# To read, it is good enough.
site_a isrfs vm@1 m
same disk.img m/disk.img
umount_at site_a m
