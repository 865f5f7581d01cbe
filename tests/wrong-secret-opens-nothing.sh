#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A keyroot that is not the parcel's: exit 5, one line, no mount, no lock kept.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
versions=$(find "$ISR_LOCKSRV" -path '*/parcels/vm/versions' -type f)
[ -s "$versions" ] || fail 'the lock server keeps its versions elsewhere'
cp "$versions" good
# The keyroot is 64 digits of key and 64 of id.
for digit in 1 64 65 128; do
    awk -v digit="$digit" '{
        for (i = 1; i <= NF; i++)
            if (length($i) == 128)
                $i = substr($i, 1, digit - 1) (substr($i, digit, 1) == "0" ? "1" : "0") \
                     substr($i, digit + 1)
        print }' good >bad
    ! cmp -s good bad || fail 'found no keyroot to change'
    cat bad >"$versions"
    fails 5 site_a isrfs vm m
    says vm
    if mountpoint -q m; then
        fail 'mounted'
    fi
    [ -z "$(holder vm)" ] || fail 'the lock is kept'
    fails 5 site_b isr export vm disk.img out
    [ ! -e out ] || fail 'something was written'
done
cat good >"$versions"
mount_at site_a vm m
same disk.img m/disk.img
umount_at site_a m
