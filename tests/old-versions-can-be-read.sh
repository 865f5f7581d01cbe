#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# PARCEL@VERSION is mounted read-only, with or without somebody holding the lock.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
mount_at site_a vm m
printf 'two\n' >m/disk.img
umount_at site_a m
mount_at site_a vm m # holds the lock
mount_at site_b vm@1 n
same disk.img n/disk.img
fails 1 touch n/new
grep -q 'Read-only' "$said" || fail "$(cat "$said")"
fails 1 dd if=/dev/zero of=n/disk.img bs=1 count=1 conv=notrunc
fails 1 rm -f n/disk.img
fails 1 mkdir n/folder
umount_at site_b n
mount_at site_b vm@2 n
[ "$(cat n/disk.img)" = two ] || fail 'version 2 is another'
umount_at site_b n
same disk.img disk.img
umount_at site_a m
[ "$(version_of vm)" -eq 2 ] || fail 'reading made a version'
