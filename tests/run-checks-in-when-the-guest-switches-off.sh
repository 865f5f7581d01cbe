#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A guest that switches itself off is checked in by `isr run` without its memory, and boots anew the
# next time.
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
await_count 2
first_boot=$boot
fails 3 site_a isr run vm
fails 3 site_b isr run vm
guest=$tmp/m
hook poweroff
wait "$run" || fail 'isr run failed when the guest was switched off'
[ -z "$(holder vm)" ] || fail 'the lock is still held'
[ "$(version_of vm)" -eq 2 ] || fail 'the guest was not published'
fails 4 site_a isr export vm mem.vmss memory

run_at b n
await_count 1
[ "$boot" != "$first_boot" ] || fail 'a guest that was switched off was resumed'
guest=$tmp/n
hook poweroff
wait "$run" || fail 'isr run failed'
