#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Without the home or the lock server a check-in fails with status 6 and keeps everything and the
# lock; isr ci does it later, also after a crash and a new start of the machine, and with the memory
# of a machine that was suspended. The lock server is needed at the beginning and at the end, and not
# in between.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/home-functions.sh"

home_starts
random_file disk.img 3000000
random_file one.img 1000000
random_file two.img 1000000
new_parcel vm disk.img

# The lock server is away at check-out.
mv locksrv aside
fails 6 site_a isrfs vm m
says locksrv
fails 6 site_a isr co vm
says locksrv
mv aside locksrv

# It goes during the run, and is not missed until the end.
mount_at site_a vm m
daemon=$(daemon_pid m)
mv locksrv aside
same disk.img m/disk.img
cp one.img m/
dd if=one.img of=m/disk.img bs=4096 count=100 conv=notrunc,fsync 2>"$said"
site_a isr status vm >out || fail 'no status'
fails 6 site_a isr umount m
wait_gone "$daemon"
fails 6 site_a isr ci vm
says locksrv
mv aside locksrv
[ -n "$(holder vm)" ] || fail 'the lock is gone'

# The home is away at check-in: unmounted, hanging, a folder that is not it.
home_goes
fails 6 site_a isr ci vm
says "$home"
printf x >"$home/not-it"
fails 6 site_a isr ci vm
rm "$home/not-it"
[ -z "$(ls -A "$home")" ] || fail 'something was written into the empty folder'
[ -n "$(holder vm)" ] || fail 'the lock is gone'
home_starts
site_a isr ci vm || fail 'isr ci failed'
[ -z "$(holder vm)" ] || fail 'the lock is kept'

# The machine goes down with the home away and comes up again.
mount_at site_a vm m
daemon=$(daemon_pid m)
cp two.img m/
sync -f m/two.img
home_dies
fails 6 site_a isr checkpoint vm
kill_daemon m "$daemon"
umount "$home"
fails 6 site_a isr ci vm
home_starts
site_a isr ci vm || fail 'isr ci failed after a crash'
[ -z "$(holder vm)" ] || fail 'the lock is kept'

# The home hangs at unmount, for longer than the daemon waits between two batches: a suspended
# machine is checked in with its memory.
set_limits a 3
mount_at site_a vm m
daemon=$(daemon_pid m)
random_file mem.img 1000000
home_stops
cp mem.img m/
dd if=two.img of=m/disk.img bs=4096 seek=500 count=1 conv=notrunc 2>"$said"
fails 6 site_a isr umount m
says 'isr ci'
wait_gone "$daemon"
home_continues
site_a isr ci vm || fail 'isr ci failed after an unmount'
[ -z "$(holder vm)" ] || fail 'the lock is kept'

site_b isr verify vm || fail 'it is not whole'
mount_at site_b vm n
dd if=one.img of=disk.img bs=4096 count=100 conv=notrunc 2>"$said"
dd if=two.img of=disk.img bs=4096 seek=500 count=1 conv=notrunc 2>"$said"
for file in disk one two mem; do
    same "$file.img" "n/$file.img"
done
umount_at site_b n
