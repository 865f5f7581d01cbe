#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A disk of one TiB with little in it is imported, mounted, changed and checked in at once.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

truncate -s 1T disk.img || skip 'this file system cannot hold a sparse file of 1 TiB'
random_file piece 1000000
for place in 0 500000 1048000; do # MiB
    dd if=piece of=disk.img bs=1M seek="$place" conv=notrunc status=none
done
new_parcel vm disk.img
[ "$(du -sk "$home" | cut -f 1)" -lt 8192 ] || fail 'the home has grown with the disk'
mount_at site_a vm m
[ "$(stat -c %s m/disk.img)" -eq 1099511627776 ] || fail 'wrong size'
dd if=m/disk.img bs=1M skip=1048000 count=1 status=none | head -c 1000000 | cmp - piece
dd if=piece of=m/disk.img bs=1M seek=800000 conv=notrunc,fsync status=none
pid=$(daemon_pid m)
rss=$(awk '/^VmRSS:/ { print $2 }' "/proc/$pid/status")
[ "$rss" -lt 65536 ] || fail "the daemon takes $rss KiB"
umount_at site_a m
[ "$(du -sk "$home" | cut -f 1)" -lt 16384 ] || fail 'the home has grown with the disk'
mount_at site_b vm n
dd if=n/disk.img bs=1M skip=800000 count=1 status=none | head -c 1000000 | cmp - piece
cp --sparse=always --reflink=never n/disk.img copy &
copy=$!
timeout 120 tail --pid="$copy" -s 0.1 -f /dev/null || fail 'the holes cannot be skipped'
wait "$copy"
[ "$(du -sk copy | cut -f 1)" -lt 8192 ] || fail 'the holes were read as data'
umount_at site_b n
