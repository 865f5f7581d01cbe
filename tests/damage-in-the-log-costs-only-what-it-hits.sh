#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# After a crash one byte of the site log has changed, below what an fsync promised. A mount and a
# check-in are refused (exit 5) and name the file and the range; nothing is touched. `isr ci
# --accept-loss` names them again and checks in all the rest: the range is as it was before.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
. "$abs_top_srcdir/tests/damage-functions.sh"

random_file disk.img 3000000
cp disk.img expected
new_parcel vm disk.img
mount_at site_a vm m
pid=$(daemon_pid m)
for i in 3 40; do
    write $i
    keep $i
done
log=$(newest_segment)
from=$(end_of_log "$log")
write 100 # is to be lost
for i in 101 200 41; do
    write $i
    keep $i
done
cp block m/new
sync m/new
kill_daemon m "$pid"
spoil "$log" "$((from + 2000))"
cp -a a before

range='vm: disk.img: bytes 409600 to 413695 are lost: what was there before is left'
fails 5 site_a isrfs vm m
says '4096 bytes are damaged' 'isr ci --accept-loss vm'
grep -q "$range" "$said" || fail "the range is not named: $(cat "$said")"
fails 5 site_a isr ci --yes vm
says '4096 bytes are damaged' 'isr ci --accept-loss vm'
grep -q "$range" "$said" || fail "the range is not named: $(cat "$said")"
for folder in log nonce; do
    diff -r "$(echo a/parcels/*/vm)/$folder" "$(echo before/parcels/*/vm)/$folder" || fail "something was touched"
done

site_a isr ci --accept-loss vm >out 2>said
grep -q "$range" said || fail "what was given up is not named: $(cat said)"
grep -q 'checked in as version 2' out || fail "it says: $(cat out)"
mount_at site_b vm n
same expected n/disk.img
same block n/new
umount_at site_b n
