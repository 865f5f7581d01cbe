#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The daemon is killed in the middle of direct writes, truncations and holes, every second time also
# of a checkpoint, again and again: the image is each time as it was after one of them, not before
# the last fsync, and can be worked on.
# EXERCISE_SEED, EXERCISE_ROUNDS choose others.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
exercise=$abs_top_builddir/tests/exercise/exercise
seed=${EXERCISE_SEED:-20041127}
rounds=${EXERCISE_ROUNDS:-8}

random_file disk.img 4000000
new_parcel vm disk.img
mount_at site_a vm m -o cache_size=1M
round=1
while [ "$round" -le "$rounds" ]; do
    pid=$(daemon_pid m)
    checkpoint=
    if [ $((round % 2)) -eq 0 ]; then
        site_a isr checkpoint vm >checkpoint.log 2>&1 &
        checkpoint=$!
    fi
    "$exercise" --seed "$seed" --ops 3000 --max 8388608 --kill "$pid" --state state m/disk.img ||
        fail "round $round"
    wait_gone "$pid"
    [ -z "$checkpoint" ] || wait "$checkpoint" || printf 'the checkpoint was cut off\n'
    unmount_lazily m
    mount_at site_a vm m -o cache_size=1M
    "$exercise" --check state m/disk.img || fail "round $round"
    cp m/disk.img recovered
    seed=$((seed + 1))
    round=$((round + 1))
done
umount_at site_a m
mount_at site_b vm n
same recovered n/disk.img
umount_at site_b n
