#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The home goes away, or its disk fails, while 16 readers need it: they wait and get their bytes as
# soon as it is back; meanwhile what is at hand is read, and all is written, as if nothing had
# happened; and it is said.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/home-functions.sh"

home_starts
set_limits a 20 600
random_file disk.img 100000000
random_file other.img 1000000
new_parcel vm disk.img other.img
mount_at site_a vm m
daemon=$(daemon_pid m)

# away WAY: everything above, the home being gone that way; read from the chunk at MEGABYTE on.
away() {
    "$1"
    readers=
    i=0
    while [ "$i" -lt 16 ]; do
        block=$(($2 * 256 + i * 64))
        { direct_read m/disk.img "$block" >"out.$i" && echo 1 >"done.$i"; } &
        readers="$readers $!"
        i=$((i + 1))
    done
    wait_status m '.home_away.reads_waiting == 16'
    timeout 10 dd if=m/other.img of=out bs=4096 count=1 iflag=direct 2>>"$said" ||
        fail 'what is at hand is not read'
    cmp -n 4096 other.img out || fail 'wrong bytes'
    random_file new.img 3000000
    timeout 10 dd if=new.img of=m/new.img bs=1M conv=fsync 2>>"$said" || fail 'nothing is written'
    timeout 10 dd if=new.img of=m/disk.img bs=1M count=2 oflag=direct conv=notrunc,fsync 2>>"$said" ||
        fail 'nothing is written over what is at home'
    printf more >>m/new.img
    site_a isr status >out
    grep -q 'home is away since 20.*, 16 reads wait' out || fail "isr status: $(cat out)"
    [ -z "$(ls done.* 2>/dev/null)" ] || fail 'a reader did not wait'
    "$3"
    began=$(milliseconds)
    # shellcheck disable=SC2086 # several
    wait $readers
    [ $(($(milliseconds) - began)) -lt 15000 ] || fail 'the readers did not go on at once'
    i=0
    while [ "$i" -lt 16 ]; do
        dd if=disk.img bs=4096 skip=$(($2 * 256 + i * 64)) count=1 of=want 2>>"$said"
        cmp want "out.$i" || fail "reader $i got wrong bytes"
        rm "done.$i"
        i=$((i + 1))
    done
    wait_status m '.home_away == null'
}

come_back() {
    umount "$home"
    home_starts
}

# These are at hand: the other file, and the chunks that are written over.
cat m/other.img >out
direct_read m/disk.img 0 512 >out
away home_dies 10 come_back
away home_goes 30 home_starts
away home_hangs 50 home_answers
away home_stops 70 home_continues
away home_is_bad 84 home_answers
[ "$(messages a | grep -c 'is away since')" -eq 5 ] ||
    fail "not said once each time: $(messages a)"
[ "$(messages a | grep -c 'is back after')" -eq 5 ] || fail 'its coming back is not said'
umount_at site_a m
wait_unlocked site_a vm "$daemon"
mount_at site_b vm n
dd if=new.img of=disk.img bs=1M count=2 conv=notrunc 2>>"$said"
same disk.img n/disk.img
printf more >>new.img
same new.img n/new.img
umount_at site_b n
