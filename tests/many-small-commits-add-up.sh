#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Hundreds of small writes, each with an fsync, across mounts: all there, and the log stays small.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 8388608
new_parcel vm disk.img
cp disk.img expected
mount_at site_a vm m
i=0
while [ "$i" -lt 300 ]; do
    i=$((i + 1))
    block=$((i * 7919 % 2048))
    for target in expected m/disk.img; do
        printf 'write %4d' "$i" | dd of="$target" bs=4096 seek="$block" conv=notrunc status=none
    done
    sync -d m/disk.img
    if [ $((i % 100)) -eq 0 ]; then
        kill_daemon m
        mount_at site_a vm m
        same expected m/disk.img
    fi
done
used=$(du -sk a | cut -f 1)
[ "$used" -lt 524288 ] || fail "the state folder has grown to $used KiB"
umount_at site_a m
mount_at site_b vm n
same expected n/disk.img
umount_at site_b n
used=$(du -sk a | cut -f 1)
[ "$used" -lt 1024 ] || fail "after check-in $used KiB are left in the state folder"
