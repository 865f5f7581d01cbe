#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A home on a network file system stops answering, in the way that puts whoever asks it beyond
# SIGKILL: the mount goes on, a read that needs the home fails after a while, the daemon can be
# killed; and when the home answers again the same mount reads on.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/home-functions.sh"

home_starts
random_file disk.img 8000000
new_parcel vm disk.img
mount_at site_a vm m
pid=$(daemon_pid m)
cmp -n 100000 disk.img m/disk.img || fail 'wrong bytes'
home_hangs
timeout 120 dd if=m/disk.img of=out bs=4096 skip=1500 count=1 2>"$said" && fail 'it was read'
grep -q 'Input/output error' "$said" || fail "the read did not end: $(cat "$said")"
# What needs no home is as quick as ever.
timeout 10 cmp -n 100000 disk.img m/disk.img || fail 'what was read before is gone'
timeout 10 sh -c 'printf new >m/new.txt && cat m/new.txt' >out || fail 'nothing can be written'
[ "$(cat out)" = new ] || fail 'what was written is not what is read'
timeout 10 jq -e .pid m/.isrfs/status >/dev/null || fail 'no status'
home_answers
until cat m/disk.img >out 2>"$said"; do
    grep -q 'Input/output error' "$said" || fail "$(cat "$said")"
done
same disk.img out
umount_at site_a m
wait_unlocked site_a vm "$pid"

# A daemon that waits for such a home can be killed.
mount_at site_b vm n
pid=$(daemon_pid n)
home_hangs
dd if=n/disk.img of=out bs=4096 skip=1500 count=1 2>/dev/null &
home_says b
kill -s KILL "$pid"
timeout 10 tail --pid="$pid" -s 0.1 -f /dev/null || fail 'the daemon cannot be killed'
home_answers
