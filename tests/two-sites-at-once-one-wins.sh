#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Two sites mount the same parcel at the same moment: exactly one gets it, time after time.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
for round in 1 2 3 4 5; do
    site_a isrfs vm m 2>a.err &
    a=$!
    site_b isrfs vm n 2>b.err &
    b=$!
    status_a=0
    wait "$a" || status_a=$?
    status_b=0
    wait "$b" || status_b=$?
    case $status_a,$status_b in
    0,3) umount_at site_a m ;;
    3,0) umount_at site_b n ;;
    *) fail "round $round: $status_a and $status_b: $(cat a.err b.err)" ;;
    esac
done
