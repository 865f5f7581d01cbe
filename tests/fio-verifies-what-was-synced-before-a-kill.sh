#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# fio writes with checksums while the daemon is killed, again and again. What had been synced before
# is whole; of files that were being written each write that had returned is there, since each was
# synced (fio keeps count of them).
# EXERCISE_SEED, EXERCISE_ROUNDS choose other moments.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires fio
random=${EXERCISE_SEED:-20041128}
rounds=${EXERCISE_ROUNDS:-5}
printf 'seed %s\n' "$random"

# finished ARGUMENT...: files that are written and synced before the kill.
finished() {
    fio --directory=m --size=6M --fallocate=truncate --verify=crc32c --verify_fatal=1 \
        --randseed="$round" --thread "$@" \
        --name=synced --rw=randwrite --bsrange=512-96k --bs_unaligned=1 --ioengine=psync \
        --fsync=50 --end_fsync=1 \
        --name=mapped --rw=randwrite --bs=4k --ioengine=mmap --end_fsync=1 >fio.log 2>&1
}

# interrupted ARGUMENT...: files whose every write is synced, until the daemon is gone.
interrupted() {
    fio --size=8M --allow_file_create=0 --verify=crc32c --verify_fatal=1 --randseed="$round" \
        --rw=randwrite --bsrange=4k-64k --ioengine=psync --sync=1 --thread "$@" \
        --name=direct --filename=m/direct --direct=1 \
        --name=buffered --filename=m/buffered >>fio.log 2>&1
}

# kill_after COUNT: kills the daemon when so many more syncs have been asked for.
kill_after() {
    syncs=$(($(jq .fsync_requests m/.isrfs/stats) + $1))
    while [ "$(jq .fsync_requests m/.isrfs/stats)" -lt "$syncs" ]; do
        kill -s 0 "$writer" || fail "fio ended too early: $(cat fio.log)"
    done
    kill -s KILL "$pid"
}

# recovered: all that was promised is there.
recovered() {
    finished --verify_only=1 --verify_state_save=0 ||
        fail "round $round: what was synced is damaged: $(cat fio.log)"
    interrupted --verify_only=1 --verify_state_load=1 --verify_state_save=0 \
        --output-format=json --output=verified ||
        fail "round $round: a write that was synced is lost: $(cat fio.log verified)"
    [ "$(jq '[.jobs[].read.total_ios] | min' verified)" -gt 0 ] || fail 'fio has not verified a thing'
}

random_file disk.img 1000000
new_parcel vm disk.img
mount_at site_a vm m -o cache_size=2M
round=1
while [ "$round" -le "$rounds" ]; do
    pid=$(daemon_pid m)
    finished --do_verify=0 --verify_state_save=0 || fail "$(cat fio.log)"
    truncate -s 0 m/direct m/buffered
    truncate -s 8M m/direct m/buffered
    sync m/direct m/buffered
    interrupted --do_verify=0 --verify_state_save=1 &
    writer=$!
    random=$(((random * 1103515245 + 12345) % 2147483648))
    kill_after $((20 + random / 65536 % 150))
    if wait "$writer"; then
        fail 'fio had written all before the kill'
    fi
    wait_gone "$pid"
    unmount_lazily m
    mount_at site_a vm m -o cache_size=2M
    recovered
    round=$((round + 1))
done
round=$rounds
umount_at site_a m
mount_at site_a vm m
recovered
umount_at site_a m
