#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# When `isr umount` returns, everything is at home, published, and the lock is free.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 20000000
new_parcel vm disk.img
mount_at site_a vm m
pid=$(daemon_pid m)
random_file m/new 30000000
cp m/new new
umount_at site_a m
[ -z "$(holder vm)" ] || fail 'the lock is still held'
[ "$(version_of vm)" -eq 2 ] || fail 'not published'
wait_gone "$pid"
site_a isr status vm >status.out 2>&1 || :
grep -q 'not checked out' status.out || fail "still here: $(cat status.out)"
site_b isr export vm new back
same new back
