#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr checkpoint` publishes a version while the parcel stays mounted and locked.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
mount_at site_a vm m
printf 'one\n' >m/notes
site_a isr checkpoint vm
[ "$(version_of vm)" -eq 2 ] || fail 'not published'
[ -n "$(holder vm)" ] || fail 'the lock is gone'
fails 3 site_b isrfs vm n
site_b isr export vm@2 notes two
[ "$(cat two)" = one ] || fail 'version 2 does not hold what was written'
printf 'more\n' >>m/notes
umount_at site_a m
[ "$(version_of vm)" -eq 3 ] || fail 'what came after it was not published'
site_b isr export vm notes three
[ "$(cat three)" = "$(printf 'one\nmore')" ] || fail 'what came after it is lost'
site_b isr export vm@2 notes again
same two again
