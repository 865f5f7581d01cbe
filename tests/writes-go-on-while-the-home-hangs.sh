#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A home that stops answering holds up no write, no fsync and no commit, however much is written; a
# checkpoint fails and keeps everything. Whatever was fsynced survives a crash, and is brought home
# when the home answers again.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires_root

# home_says LETTER: waits until the home's server says so (tests/unit/hanging_fs.c).
home_says() {
    timeout 60 sh -c 'until [ "$(head -c 1 <&3)" = "$1" ]; do :; done' sh "$1" 3<&3 ||
        fail "the home's server does not say $1"
}
# change OFFSET: 4 KiB blocks in chunks that nobody has read, fsynced, within a time in which nobody
# can have waited for the home.
change() {
    for chunk in 3 17 40 41; do
        block=$((chunk * 32 + $1))
        timeout 10 dd if=blocks of=m/disk.img bs=4096 skip="$block" seek="$block" count=1 \
            conv=notrunc,fsync status=none || fail 'a write or its fsync waited for the home'
        dd if=blocks of=expected bs=4096 skip="$block" seek="$block" count=1 conv=notrunc \
            status=none
    done
}

mkdir real "$home"
mkfifo orders answers
"$abs_top_builddir/tests/unit/hanging_fs" "$tmp/real" "$home" <orders >answers &
server=$!
# Nobody who looks into it at the end is to wait for it.
trap 'ended=$?; set +e; kill -s KILL "$server"; (exit "$ended"); clean_up' EXIT
exec 4>orders 3<answers
home_says r

random_file disk.img 8000000
random_file blocks 8000000
cp disk.img expected
new_parcel vm disk.img
mount_at site_a vm m
pid=$(daemon_pid m)
printf 'f /\n' >&4
home_says f
change 1
# So much that the log has to be tidied by a commit.
timeout 100 dd if=/dev/urandom of=m/much bs=1M count=280 conv=fsync status=none ||
    fail 'much cannot be written'
messages=$(find a -name messages)
wait_for_line "$messages" 'a part of it that needs the home'
change 2
fails 6 site_a isr checkpoint vm
change 3
kill_daemon m "$pid"
printf 't\n' >&4
home_says t
mount_at site_a vm m
same expected m/disk.img
rm m/much
umount_at site_a m
mount_at site_b vm n
same expected n/disk.img
umount_at site_b n
trap clean_up EXIT
