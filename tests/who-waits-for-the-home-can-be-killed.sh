#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A process that waits for a home that is away, with no limit, can be killed at any time, whatever
# it waits in; others go on waiting, also those that get a signal that kills nobody, and have their
# bytes when the home is back.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/home-functions.sh"
requires perl perl-base
requires qemu-io qemu-utils

# ends PID: its process is gone, or waits for this shell only, soon.
ends() {
    # shellcheck disable=SC2016 # for that shell
    timeout 5 sh -c 'while grep -qs "^State:.[^Z]" "/proc/$1/status"; do :; done' sh "$1" ||
        fail "process $1 is not killed: $(cat "/proc/$1/status")"
    wait "$1" 2>/dev/null || :
}

# direct FILE MEGABYTE: a reader, in $!, past the kernel's pages.
direct() {
    dd if="$1" of="out.$2" bs=4096 skip="$(($2 * 256))" count=1 iflag=direct 2>>"$said" &
}

# waiting COUNT: until so many reads wait, and no more.
waiting() {
    wait_status m ".home_away.reads_waiting == $1"
}

home_starts
random_file disk.img 60000000
random_file mem.img 8000000
new_parcel vm disk.img mem.img
set_limits a 20 forever
mount_at site_a vm m
home_goes

direct m/disk.img 50
stays=$!
waiting 1

for file in disk.img mem.img; do
    for signal in KILL TERM ABRT; do
        direct m/$file 2
        pid=$!
        waiting 2
        kill -s $signal $pid
        ends $pid
        waiting 1
    done
done

# Through the kernel's pages, whose read-ahead nobody needs any more.
cat m/mem.img >out.cat &
pid=$!
wait_status m '.home_away.reads_waiting > 1'
kill -s KILL $pid
ends $pid
waiting 1

# I/O that the process has only begun.
qemu-io -r -n -t none -f raw -c 'aio_read 20M 4k' -c 'aio_flush' m/disk.img >out.aio 2>&1 &
pid=$!
waiting 2
kill -s KILL $pid
ends $pid
waiting 1

# What is cut off in the middle of a block.
truncate -s 30000001 m/disk.img &
pid=$!
waiting 2
kill -s KILL $pid
ends $pid
waiting 1
[ "$(stat -c %s m/disk.img)" -eq 60000000 ] || fail 'a change that was killed was made'

# What is written into a part of a block that is not at hand.
dd if=/dev/zero of=m/disk.img bs=512 seek=8000 count=1 oflag=direct conv=notrunc 2>>"$said" &
pid=$!
waiting 2
kill -s KILL $pid
ends $pid
waiting 1

# A signal that it handles is not its end.
# shellcheck disable=SC2016 # perl's
perl -e '$SIG{USR1} = sub { open(my $f, ">", "caught") }; open(my $f, "+<", $ARGV[0]) or die;
    truncate($f, 55000001) or die "$!"' m/disk.img 2>"$said" &
handles=$!
waiting 2
kill -s USR1 $handles
direct m/disk.img 3
pid=$!
waiting 3
kill -s KILL $pid
ends $pid
waiting 2

home_starts
wait $stays || fail 'a reader that was not killed has failed'
wait $handles || fail "a signal that is handled ended the call: $(cat "$said")"
[ -e caught ] || fail 'there was no signal'
dd if=disk.img of=want bs=4096 skip=12800 count=1 2>>"$said"
same want out.50
truncate -s 55000001 disk.img
same disk.img m/disk.img
same mem.img m/mem.img
umount_at site_a m
