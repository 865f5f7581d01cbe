#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr status` and the virtual folder .isrfs tell what is mounted, by which process, and what is
# not yet at home; .isrfs is not part of the parcel.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 1000000
new_parcel vm disk.img
mount_at site_a vm m
pid=$(daemon_pid m)
[ "$(tr '\0' ' ' <"/proc/$pid/cmdline" | grep -c vm)" -eq 1 ] || fail 'that is not the daemon'
jq -e . m/.isrfs/stats >stats || fail 'the statistics are no JSON'
grep -q . m/.isrfs/chunks/disk.img || fail 'no map of the chunks'
site_a isr status vm >status.out
grep -q "$tmp/m" status.out || fail "the mountpoint is not shown: $(cat status.out)"
site_a isr status --json >status.json
jq -e . status.json >json || fail 'no JSON'
fails 1 mkdir m/.isrfs/new
fails 1 touch m/.isrfs/status/x
printf 'x' 2>"$said" >m/.isrfs/status && fail 'the status can be written' || :
random_file m/new 100000
sync m/new
umount_at site_a m
mount_at site_b vm n
[ "$(find n -mindepth 1 -maxdepth 1 ! -name .isrfs | sort | tr '\n' ' ')" = 'n/disk.img n/new ' ] ||
    fail "unexpected files: $(ls -A n)"
umount_at site_b n
