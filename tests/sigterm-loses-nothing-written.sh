#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# SIGTERM to the daemon, as at shutdown: what programs have written, flushed or not, comes home.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 2000000
new_parcel vm disk.img
mount_at site_a vm m
pid=$(daemon_pid m)
random_file new 50000000
cp new m/new
seq 1 5000 >m/numbers
printf 'patched' | dd of=m/disk.img bs=1 seek=1000000 conv=notrunc status=none
printf 'patched' | dd of=disk.img bs=1 seek=1000000 conv=notrunc status=none
kill -s TERM "$pid"
wait_unlocked site_a vm "$pid"
if mountpoint -q m; then
    fail 'still mounted'
fi
mount_at site_b vm n
same new n/new
same disk.img n/disk.img
seq 1 5000 | cmp - n/numbers || fail 'numbers differ'
umount_at site_b n
