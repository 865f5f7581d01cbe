#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# More is written than the site log may hold: it is brought home while the parcel is mounted, the
# log gets short, nothing is published, and a kill afterwards loses nothing.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 1000000
new_parcel vm disk.img
echo 'LOG_SIZE:=100000000' >>"$tmp/a/isr.conf"
random_file one 90000000
random_file two 90000000
random_file three 90000000
mount_at site_a vm m
for name in one two three; do
    cp "$name" "m/$name"
    sync "m/$name"
done
# The carrier looks every five seconds; what it waits for is that the first segments are gone.
first=$(find "$tmp/a/parcels" -path '*/log/0000000000000001')
[ -n "$first" ] || fail 'the log has no first segment'
wait_removed "$first"
[ "$(version_of vm)" = 1 ] || fail 'something was published'
stored=$(du -sk home/chunks | cut -f 1)
[ "$stored" -gt 250000 ] || fail "only $stored KiB are at home"

# All is there, from home, after the kernel has forgotten it and after a kill.
same one m/one
cp two m/four
sync m/four
kill_daemon m
mount_at site_a vm m
for name in one two three; do
    same "$name" "m/$name"
done
same two m/four
umount_at site_a m

mount_at site_b vm n
for name in one two three; do
    same "$name" "n/$name"
done
same two n/four
umount_at site_b n
