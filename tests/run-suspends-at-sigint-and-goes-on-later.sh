#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr run` boots a guest, suspends and checks it in at SIGINT, and at another site goes on where it
# was; there SIGTERM does the same.
. "$abs_top_srcdir/tests/vmm-functions.sh"
requires_fuse

# run_until SITE-FOLDER COUNT SIGNAL: runs the guest until it has counted that far.
run_until() {
    rm -f console
    mkfifo console
    exec 3<>console
    # `timeout` passes the signal on; it and `env` make no shell that would stand between.
    ISR_HOME=$tmp/$1 ISR_QEMU_ARGS="-serial file:$tmp/console" \
        timeout 240 isr run vm >run.out 2>"$said" &
    run=$!
    await_count "$2"
    kill -s "$3" "$run"
    status=0
    wait "$run" || status=$?
    exec 3<&-
    [ "$status" -eq 0 ] || fail "exit $status: $(cat "$said")"
    [ -z "$(holder vm)" ] || fail 'the lock is held'
}

new_guest
new_parcel vm "$guest/vmlinuz" "$guest/initrd.img" "$guest/disk.img" "$guest/qemu.conf"
run_until a 5 INT
first_boot=$boot
first_count=$count
[ "$(version_of vm)" -eq 2 ] || fail 'not checked in'
run_until b $((first_count + 2)) TERM
[ "$boot" = "$first_boot" ] || fail 'it has booted anew'
[ "$(version_of vm)" -eq 3 ] || fail 'not checked in the second time'
