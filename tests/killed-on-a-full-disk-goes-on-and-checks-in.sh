#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The disk of this site is full, what was set aside is used up because the home is away, and then the
# daemon is killed. Not a byte is freed: the next mount writes, syncs and checks in all the same, and
# so does isr ci without a mount.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires_root

mount -t tmpfs -o size=300m,mode=700 tmpfs a || skip 'tmpfs cannot be mounted'
random_file disk.img 1000000
random_file one 60000000
random_file two 30000000
random_file three 300000000
new_parcel vm disk.img

# full_and_killed: at the end there is no room for anything at site A, and m/one was synced.
full_and_killed() {
    cp one m/one
    sync m/one
    dd if=/dev/zero of=a/filler bs=1M status=none 2>"$said" || :
    mv home home.away
    if cp three m/three 2>"$said" && sync m/three 2>"$said"; then
        fail 'an fsync was promised that nothing could keep'
    fi
    [ "$(find a -path '*/vm/log/spare' -size +1023k)" = '' ] ||
        fail "what was set aside is not used up: $(messages a)"
    kill_daemon m
    dd if=/dev/zero of=a/more bs=4k status=none 2>"$said" || :
    [ "$(df -k --output=avail a | tail -n 1)" -eq 0 ] || fail 'the disk is not full'
    mv home.away home
}

mount_at site_a vm m
full_and_killed
mount_at site_a vm m
same one m/one
rm -f m/three
cp two m/two || fail "a write failed: $(messages a)"
sync m/two || fail "fsync failed: $(messages a)"
same two m/two
umount_at site_a m
rm a/more

# The same again, but nothing is mounted any more.
rm -f a/filler
mount_at site_a vm m
rm m/one
full_and_killed
site_a isr ci --yes vm >"$said" 2>&1 || fail "check-in failed: $(cat "$said")"

mount_at site_b vm n
same disk.img n/disk.img
same one n/one
same two n/two
umount_at site_b n
