#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Buffered, direct and memory-mapped writes from several processes read back as they were written,
# before and after check-in.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires fio

random_file disk.img 1000000
new_parcel vm disk.img
# jobs DIR ARGUMENT...
jobs() {
    directory=$1
    shift
    fio --directory="$directory" --size=24M --fallocate=truncate --verify=crc32c --verify_fatal=1 --randseed=7 \
        --allrandrepeat=1 --thread "$@" \
        --name=buffered --rw=randwrite --bsrange=512-96k --bs_unaligned=1 --ioengine=psync \
        --name=direct --rw=randwrite --bs=4k --direct=1 --ioengine=libaio --iodepth=16 \
        --name=mapped --rw=randwrite --bs=4k --ioengine=mmap >fio.log 2>&1 ||
        fail "$(cat fio.log)"
}
mount_at site_a vm m
jobs m --do_verify=1
umount_at site_a m
mount_at site_b vm n
jobs n --verify_only=1
umount_at site_b n
