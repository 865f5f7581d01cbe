#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A read that needs a home that is away ends with an I/O error after the time that was asked for, by
# the mount option or else the setting, by default 30 s, and at once when the daemon is told to end.
# The memory of a machine is waited for without limit. An object that the home does not have, cannot
# read, or has damaged, is not waited for.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/home-functions.sh"

# seconds_of_read BLOCK: how long a read takes that must fail.
seconds_of_read() {
    began=$(milliseconds)
    if timeout 60 dd if=m/disk.img of=out bs=4096 skip="$1" count=1 iflag=direct 2>"$said"; then
        fail "block $1 was read"
    fi
    grep -q 'Input/output error' "$said" || fail "block $1: $(cat "$said")"
    took=$((($(milliseconds) - began) / 1000))
}

home_starts
random_file disk.img 30000000
random_file mem.img 500000
new_parcel vm disk.img mem.img
mount_at site_a vm m
wait_status m '.home_wait == 30'
umount_at site_a m
set_limits a 2 4
mount_at site_a vm m
wait_status m '.home_wait == 4'
home_dies
dd if=m/mem.img of=mem.out bs=4096 skip=50 count=1 iflag=direct 2>mem.said &
reader=$!
wait_status m '.home_away.reads_waiting == 1'
seconds_of_read 0
if [ "$took" -lt 3 ] || [ "$took" -gt 8 ]; then
    fail "HOME_WAIT 4: it took $took s"
fi
wait_status m '.home_away.reads_waiting == 1'
umount "$home"
home_starts
wait $reader || fail "the memory is not read: $(cat mem.said)"
dd if=mem.img bs=4096 skip=50 count=1 status=none | cmp - mem.out || fail 'the memory is wrong'
wait_status m '.home_away == null'
direct_read m/disk.img 0 >out || fail 'it is not read when the home is back'
random_file one 100000
: >before
cp one m/one
umount_at site_a m
bad=$(find "$real/chunks" -type f -size +90k -newer before)
[ "$(printf '%s\n' "$bad" | wc -l)" -eq 1 ] || fail "not one object: $bad"

# The option comes first.
mount_at site_a vm m -o home_wait=0
home_hangs
seconds_of_read 1000
[ "$took" -le 5 ] || fail "home_wait=0, HOME_TIMEOUT 2: it took $took s"
seconds_of_read 2000
[ "$took" -le 1 ] || fail "home_wait=0, known to be away: it took $took s"
home_answers
wait_status m '.home_away == null'
umount_at site_a m

# Missing and damaged objects, and a bad disk below one, are told from a home that is away.
mount_at site_a vm m -o home_wait=forever
home_is_bad "${bad##*/}"
timeout 10 cat m/one >out 2>"$said" && fail 'what cannot be read was read'
grep -q 'Input/output error' "$said" || fail "a bad disk: $(cat "$said")"
direct_read m/disk.img 0 >out || fail 'a bad disk below one object makes others unreadable'
cmp -n 4096 disk.img out || fail 'wrong bytes'
printf more >m/two
sync m/two || fail 'a bad disk below one object makes writes fail'
wait_status m '.home_away == null'
home_answers
same one m/one
umount_at site_a m
mount_at site_a vm m -o home_wait=forever
find "$real/chunks" -type f -size +100k -exec sh -c '
    for object; do printf x | dd of="$object" bs=1 seek=5000 conv=notrunc; done' sh '{}' + 2>>"$said"
seconds_of_read 5000
[ "$took" -le 1 ] || fail "a damaged object: it took $took s"
find "$real/chunks" -type f -size +100k -delete
seconds_of_read 6000
[ "$took" -le 1 ] || fail "a missing object: it took $took s"
messages a | grep -q 'is damaged' || fail 'the damage is not told'
messages a | grep -q 'is missing' || fail 'it is not told that the object is missing'
wait_status m '.home_away == null'

# A daemon that is told to end does not go on waiting, whichever way the home is away.
for way in home_dies home_hangs; do
    daemon=$(daemon_pid m)
    $way
    direct_read m/disk.img 3000 >out &
    reader=$!
    wait_status m '.home_away.reads_waiting > 0'
    kill -s TERM "$daemon"
    began=$(milliseconds)
    wait "$reader" && fail 'it was read'
    wait_gone "$daemon"
    [ $(($(milliseconds) - began)) -lt 15000 ] || fail "$way: the daemon did not end: $(messages a)"
    mountpoint -q m && fail 'still mounted'
    if [ "$way" = home_dies ]; then
        umount "$home"
        home_starts
        sed -i 's/HOME_TIMEOUT:=2/HOME_TIMEOUT:=60/' a/isr.conf
        mount_at site_a vm m -o home_wait=forever
    fi
done
