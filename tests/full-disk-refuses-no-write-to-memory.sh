#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A machine's memory for which there is no room at this site is refused when it is made or opened,
# by name; once it is open, a disk that fills up refuses no write to it.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires_root

machine_says() {
    # shellcheck disable=SC2016 # for the other shell
    timeout 60 sh -c 'read -r line <&3 && [ "$line" = written ]' 3<&3 || fail 'the machine failed'
}
size=41943040
random_file disk.img 300000
mount -t tmpfs -o size=160m,mode=700 tmpfs a || skip 'no tmpfs can be mounted'
new_parcel vm disk.img
mount_at site_a vm m
truncate -s 400M m/big.vmem 2>"$said" && fail 'there was room for it'
grep -q 'No space left' "$said" || fail "$(cat "$said")"
rm m/big.vmem
truncate -s "$size" m/mem.img
mkfifo orders answers
"$abs_top_builddir/tests/unit/mapped_writer" m/mem.img "$size" first <orders >answers &
machine=$!
exec 4>orders 3<answers
machine_says
dd if=/dev/zero of=a/fill bs=1M 2>/dev/null && fail 'the disk is not full'
printf 'second\n' >&4
machine_says
exec 4>&- 3<&-
wait "$machine" || fail 'the machine failed'
tr -d '\0' <m/mem.img >lines
seq -f 'second %.0f' 0 "$((size / 4096 - 1))" | cmp - lines || fail 'the memory is wrong'
rm a/fill
umount_at site_a m
mount_at site_b vm n
tr -d '\0' <n/mem.img >lines
seq -f 'second %.0f' 0 "$((size / 4096 - 1))" | cmp - lines || fail 'the memory is not whole'
umount_at site_b n
