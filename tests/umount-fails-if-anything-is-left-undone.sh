#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The home goes away while a parcel is mounted: `isr umount` says so, what was written stays at this
# site with the lock, and `isr ci` brings it home later.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 2000000
new_parcel vm disk.img
mount_at site_a vm m
pid=$(daemon_pid m)
random_file m/new 5000000
cp m/new new
mv "$home" away
fails 6 site_a isr umount m
says 'isr ci'
wait_gone "$pid"
[ -n "$(holder vm)" ] || fail 'the lock was given back though nothing is at home'
site_a isr status vm >status.out || fail 'no status'
grep -q -i 'vm' status.out || fail "status does not name it: $(cat status.out)"
fails 6 site_a isr ci vm
mv away "$home"
fails 3 site_b isrfs vm n
site_a isr ci vm
[ -z "$(holder vm)" ] || fail 'the lock is still held'
site_b isr export vm new back
same new back
