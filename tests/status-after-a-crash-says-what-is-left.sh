#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The daemon was killed: `isr umount` fails and says what to do, `isr status` says that something is
# left, and `isr ci` checks it in only with --yes, marked in the history.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
mount_at site_a vm m
pid=$(daemon_pid m)
random_file m/new 200000
sync m/new
kill -s KILL "$pid"
wait_gone "$pid"
fails 1 site_a isr umount m
in_one_line 'isr ci'
mountpoint -q m && fail 'it is still mounted'
site_a isr status vm >status
grep -q 'not yet checked in' status || fail "nothing is left, it says: $(cat status)"
[ "$(site_a isr status --json | jq -r '.[0].log_bytes')" -gt 200000 ] || fail 'wrong size'
fails 1 site_a isr ci vm
says '[-]-yes'
site_a isr ci --yes vm
site_a isr history vm | grep -q 'disk only' || fail 'it is not marked'
[ "$(site_a isr status --json)" = '[]' ] || fail 'something is left at this site'
