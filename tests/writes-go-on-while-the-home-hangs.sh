#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A home that stops answering holds up no write, no fsync and no commit, however much is written; a
# checkpoint fails and keeps everything. Whatever was fsynced survives a crash, and is brought home
# when the home answers again.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/home-functions.sh"

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

home_starts
random_file disk.img 8000000
random_file blocks 8000000
cp disk.img expected
new_parcel vm disk.img
mount_at site_a vm m
pid=$(daemon_pid m)
home_hangs
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
home_answers
mount_at site_a vm m
same expected m/disk.img
rm m/much
umount_at site_a m
mount_at site_b vm n
same expected n/disk.img
umount_at site_b n
