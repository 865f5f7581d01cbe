#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `fusermount3 -u` ends the mount; the daemon goes on by itself and checks in.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 2000000
new_parcel vm disk.img
mount_at site_a vm m
pid=$(daemon_pid m)
random_file m/new 20000000
cp m/new new
fusermount3 -u m
if mountpoint -q m; then
    fail 'still mounted'
fi
wait_unlocked site_a vm "$pid"
site_b isr export vm new back
same new back
[ "$(version_of vm)" -eq 2 ] || fail 'not published'
