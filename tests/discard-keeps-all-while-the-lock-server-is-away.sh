#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A lock server that is away cannot take the lock back: `isr discard` keeps everything (exit 6).
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
mount_at site_a vm m -o noci
cp disk.img m/new
umount_at site_a m
mv locksrv away
fails 6 site_a isr discard --yes vm
in_one_line 'no lock server'
mv away locksrv
mount_at site_a vm m
same disk.img m/new
umount_at site_a m
