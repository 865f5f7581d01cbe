#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A hundred thousand random reads, writes (buffered, direct, mapped), truncations, holes, copies,
# syncs and reopenings of a disk image, with checkpoints meanwhile and little memory for the daemon,
# leave exactly what they should: all the time, after the check-in, and at another site.
# EXERCISE_SEED, EXERCISE_OPS choose others.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
exercise=$abs_top_builddir/tests/exercise/exercise

random_file disk.img 6000000
new_parcel vm disk.img
mount_at site_a vm m -o cache_size=1M
ISR_HOME=$tmp/a "$exercise" --seed "${EXERCISE_SEED:-20041126}" --ops "${EXERCISE_OPS:-100000}" \
    --max 12582912 --save expected --every 12000 --meanwhile 'isr checkpoint vm 2>&1' m/disk.img ||
    fail 'the file is not what was done to it'
same expected m/disk.img
umount_at site_a m
mount_at site_b vm n
same expected n/disk.img
umount_at site_b n
