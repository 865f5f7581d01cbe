#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The site log is long from an earlier mount, and in this one nothing changes: bringing the log home
# loses nothing of what was done before, also if the daemon is killed then.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 1000000
new_parcel vm disk.img
random_file one 90000000
mount_at site_a vm m -o noci
cp one m/one
cp disk.img m/two
umount_at site_a m
echo 'LOG_SIZE:=67108864' >>"$tmp/a/isr.conf"
first=$(find "$tmp/a/parcels" -path '*/log/0000000000000001')
mount_at site_a vm m -o noci
wait_removed "$first"
kill_daemon m
mount_at site_a vm m
same one m/one
same disk.img m/two
umount_at site_a m
