#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr run` checks out, mounts and resumes; when it is asked to end it suspends and checks in, and
# when the guest switches itself off it checks in as well.
. "$abs_top_srcdir/tests/vmm-functions.sh"
requires_fuse

# run_at SITE-FOLDER DIR: in the background, as $run.
run_at() {
    new_console
    env ISR_HOME="$tmp/$1" ISR_QEMU_ARGS="$ISR_QEMU_ARGS" isr run vm --mountpoint "$tmp/$2" &
    run=$!
}

new_guest
new_parcel vm "$guest/vmlinuz" "$guest/initrd.img" "$guest/disk.img" "$guest/qemu.conf"

run_at a m
await_count 3
first_boot=$boot
fails 3 site_a isr run vm
fails 3 site_b isr run vm
kill -s TERM "$run"
wait "$run" || fail 'isr run failed'
[ -z "$(holder vm)" ] || fail 'the lock is still held'
[ "$(version_of vm)" -eq 2 ] || fail 'the suspended guest was not published'

run_at b n
await_count $((count + 2))
[ "$boot" = "$first_boot" ] || fail 'it has booted anew'
guest=$tmp/n
hook poweroff
wait "$run" || fail 'isr run failed when the guest was switched off'
[ -z "$(holder vm)" ] || fail 'the lock is still held'
[ "$(version_of vm)" -eq 3 ] || fail 'the guest was not published'
fails 4 site_a isr export vm mem.vmss memory

run_at a m
await_count 1
[ "$boot" != "$first_boot" ] || fail 'a guest that was switched off was resumed'
kill -s TERM "$run"
wait "$run" || fail 'isr run failed'
