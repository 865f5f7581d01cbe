#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A home that is missing, empty or another's is offline, never empty: nothing is mounted, written
# there or lost, and the lock is not kept.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
refused() {
    fails 6 site_a isrfs vm m
    says "$home"
    if mountpoint -q m; then
        fail 'mounted'
    fi
    [ -z "$(holder vm)" ] || fail 'the lock is kept'
}
mv "$home" away
refused # missing
mkdir "$home"
refused # an empty folder, as an sshfs leaves
[ -z "$(ls -A "$home")" ] || fail 'something was written into the empty folder'
cp away/isrfs-store "$home/"
sed -i 's/[0-9a-f]\{32\}/00000000000000000000000000000000/' "$home/isrfs-store"
refused # another store's marker
: >"$home/isrfs-store"
refused # a torn one
[ "$(ls -A "$home")" = isrfs-store ] || fail 'something was written into a folder that is another store'
rm -r "$home"
mv away "$home"
mount_at site_a vm m
same disk.img m/disk.img
umount_at site_a m
