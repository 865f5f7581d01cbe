#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The memory of a machine, which its VMM maps (mem.img): it is not logged with the disk's fsyncs; it
# is published whole when nothing runs; while a machine runs, and after a crash, it is never published
# together with a disk of another moment.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

size=12582912
pages=$((size / 4096))
# same_memory FILE TEXT: TEXT and the page's number stand at the front of each page.
same_memory() {
    [ "$(stat -c %s "$1")" -eq "$size" ] || fail "$1 has another size"
    tr -d '\0' <"$1" >lines
    seq -f "$2 %.0f" 0 "$((pages - 1))" | cmp - lines || fail "$1 is not all of $2"
}
# run_machine DIR TEXT: something that maps the memory, until `stop_machine`.
run_machine() {
    mkfifo orders answers
    "$abs_top_builddir/tests/unit/mapped_writer" "$1/mem.img" "$size" "$2" <orders >answers &
    machine=$!
    exec 4>orders 3<answers
    machine_says
}
machine_says() {
    # shellcheck disable=SC2016 # for the other shell
    timeout 60 sh -c 'read -r line <&3 && [ "$line" = written ]' 3<&3 || fail 'the machine failed'
}
stop_machine() {
    exec 4>&- 3<&-
    wait "$machine" || :
    rm orders answers
}

random_file disk.img 3000000
random_file disk2 3000000
new_parcel vm disk.img
mount_at site_a vm m
truncate -s "$size" m/mem.img
run_machine m first
stop_machine
umount_at site_a m
mount_at site_b vm n
same_memory n/mem.img first
umount_at site_b n

# It runs: the disk is fsynced, the memory is not in the log.
mount_at site_a vm m
pid=$(daemon_pid m)
run_machine m second
before=$(jq -e .log_bytes m/.isrfs/stats)
dd if=disk2 of=m/disk.img bs=4096 count=10 conv=notrunc,fsync status=none
sync m/mem.img
[ "$(($(jq -e .log_bytes m/.isrfs/stats) - before))" -lt 200000 ] || fail 'the memory is logged'
same_memory m/mem.img second
fails 1 site_a isr checkpoint vm
in_one_line mem.img --disk-only
site_a isr checkpoint --disk-only vm >out || fail 'no checkpoint of the disk'
grep -q 'version 3' out || fail "$(cat out)"
printf 'third\n' >&4
machine_says
site_b isr export vm@3 disk.img exported || fail 'the checkpoint cannot be read'
dd if=disk2 of=disk.img bs=4096 count=10 conv=notrunc status=none
same disk.img exported
fails 4 site_b isr export vm@3 mem.img out2

# A crash: the disk as it was fsynced, the memory as it was when nothing ran.
dd if=disk2 of=m/disk.img bs=4096 count=20 conv=notrunc,fsync status=none
dd if=disk2 of=disk.img bs=4096 count=20 conv=notrunc status=none
kill_daemon m "$pid"
stop_machine
mount_at site_a vm m
same disk.img m/disk.img
same_memory m/mem.img first
fails 1 site_a isr umount m
says mem.img --disk-only
fails 1 site_a isr ci --yes vm
says mem.img --disk-only
[ "$(version_of vm)" -eq 3 ] || fail 'a memory and a disk of two moments are published'
site_a isr ci --disk-only vm
[ -z "$(holder vm)" ] || fail 'the lock is still held'
mount_at site_b vm n
same disk.img n/disk.img
[ ! -e n/mem.img ] || fail 'there is a memory'
# A new one is the machine's own.
truncate -s "$size" n/mem.img
run_machine n fourth
stop_machine
umount_at site_b n
mount_at site_a vm m
same_memory m/mem.img fourth
umount_at site_a m
