#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The disk of this site is full: what is written goes home instead. With the home away too, writers
# are told, nothing that was promised is lost, and it works again when the home is back.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires_root

mount -t tmpfs -o size=300m,mode=700 tmpfs a || skip 'tmpfs cannot be mounted'
random_file disk.img 1000000
new_parcel vm disk.img
random_file one 60000000
random_file two 60000000
random_file three 400000000

mount_at site_a vm m
cp one m/one
sync m/one
# Now nothing is left but what was set aside.
dd if=/dev/zero of=a/filler bs=1M status=none 2>"$said" || :
[ "$(df -k --output=avail a | tail -n 1)" -lt 1000 ] || fail 'the disk is not full'
cp three m/three || fail "a write failed on the full disk: $(messages a)"
sync m/three || fail "fsync failed on the full disk: $(messages a)"
cp two m/two || fail "a write failed on the full disk: $(messages a)"
sync m/two || fail "fsync failed on the full disk: $(messages a)"
same one m/one
same three m/three

# The home is away as well, and the whole disk would not do.
mv home home.away
random_file four 300000000
if cp four m/four 2>"$said" && sync m/four 2>"$said"; then
    fail 'an fsync was promised that nothing could keep'
fi
# Nor is it promised the second time.
if sync m/four 2>"$said"; then
    fail 'an fsync that had failed was promised later'
fi
rm -f m/four
mv home.away home

# It all works again, and check-in does.
cp two m/five
sync m/five || fail "fsync still fails: $(messages a)"
kill_daemon m
mount_at site_a vm m
for name in one two three; do
    same "$name" "m/$name"
done
same two m/five

# With nowhere to put what was written last, unmounting waits until its home is back.
rm -f a/filler m/one
dd if=/dev/zero of=a/filler bs=1M status=none 2>"$said" || :
mv home home.away
cp four m/six 2>"$said" || :
site_a isr umount m >umount.out 2>umount.err &
umount_pid=$!
wait_for_line "$(find a -path '*/vm/messages')" 'trying again until there is space'
mv home.away home
wait "$umount_pid" || fail "cannot unmount: $(cat umount.err)"
mount_at site_b vm n
for name in two three; do
    same "$name" "n/$name"
done
same two n/five
[ ! -e n/one ] || fail 'a removal was lost'
umount_at site_b n
