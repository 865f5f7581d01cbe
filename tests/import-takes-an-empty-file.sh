#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# An empty file is a file; an empty disk image is a mistake, and said to be one.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

: >empty.img
fails 1 site_a isr import --src "FILE://$home" vm empty.img
in_one_line empty.img
random_file disk.img 100000
: >notes
new_parcel vm disk.img notes folder/also-empty=notes
mount_at site_a vm m
[ -f m/notes ] && [ ! -s m/notes ] || fail 'it is not there, or not empty'
[ -z "$(cat m/notes)" ] || fail 'it has content'
printf 'no more\n' >m/notes
umount_at site_a m
site_b isr export vm notes out
[ "$(cat out)" = 'no more' ] || fail 'what was written is lost'
site_b isr export vm folder/also-empty out2
[ -f out2 ] && [ ! -s out2 ] || fail 'the other is not empty any more'
