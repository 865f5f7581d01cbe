#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A mountpoint that is missing, no folder, not empty or already mounted is refused in one line, and
# no lock is kept.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
new_parcel other disk.img
refused() { # DIR
    fails 1 site_a isrfs vm "$1"
    in_one_line "$1"
    [ -z "$(holder vm)" ] || fail 'the lock is kept'
}
refused nosuch
refused disk.img
printf 'mine\n' >m/notes
refused m
[ "$(cat m/notes)" = mine ] || fail 'it was mounted over'
mount_at site_a other n
refused n
same disk.img n/disk.img
umount_at site_a n
