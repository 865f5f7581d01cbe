#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr umount --noci` publishes nothing: what was written stays at this site, with the lock, also
# while the home is away; isr ci then checks it in, or isr discard throws it away. If it cannot be
# unmounted, the next unmount checks in as ever.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

# not_checked_in VERSION: the newest is still that one, and this site has the lock.
not_checked_in() {
    grep -q 'vm stays checked out.* isr ci vm .*isr discard vm ' out || fail "it says: $(cat out)"
    mountpoint -q m && fail 'still mounted'
    [ "$(version_of vm)" = "$1" ] || fail 'it was checked in'
    [ -n "$(holder vm)" ] || fail 'the lock was given back'
}

random_file disk.img 3000000
random_file new 400000
new_parcel vm disk.img
mount_at site_a vm m
cp new m/new
dd if=new of=m/disk.img bs=4096 count=20 conv=notrunc status=none
site_a isr umount --noci m >out || fail 'cannot unmount'
not_checked_in 1
site_a isr ci vm
[ "$(version_of vm)" = 2 ] || fail 'isr ci does not publish what was kept'
dd if=new of=disk.img bs=4096 count=20 conv=notrunc status=none
mount_at site_b vm n
same disk.img n/disk.img
same new n/new
umount_at site_b n

# By the parcel's name; and thrown away.
mount_at site_a vm m
rm m/new
site_a isr umount --noci vm >out || fail 'cannot unmount by name'
not_checked_in 2
site_a isr discard --yes vm >out
[ -z "$(holder vm)" ] || fail 'the lock is still held'

# While the home is away, with a chunk of which only a part was written.
mount_at site_a vm m
mv "$home" "$home.away"
dd if=new of=m/disk.img bs=4096 seek=100 count=1 conv=notrunc status=none
site_a isr umount --noci m >out || fail 'it needs the home'
mv "$home.away" "$home"
not_checked_in 2
dd if=new of=disk.img bs=4096 seek=100 count=1 conv=notrunc status=none

# What is taken up where it was, and is in use.
mount_at site_a vm m
same disk.img m/disk.img
exec 5<m/disk.img
fails 1 site_a isr umount --noci m
exec 5<&-
mountpoint -q m || fail 'it was unmounted'
umount_at site_a m >out
[ "$(version_of vm)" = 3 ] || fail "the next unmount has not checked in: $(cat out)"
[ -z "$(holder vm)" ] || fail 'the lock is still held'
