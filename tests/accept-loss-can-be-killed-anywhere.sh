#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The site log is damaged. `isr ci --accept-loss` is killed at one operation on a disk after the
# other, and said again: all but the damaged range is checked in, and one of the two has named what
# is lost.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
. "$abs_top_srcdir/tests/kill-functions.sh"
. "$abs_top_srcdir/tests/damage-functions.sh"

random_file disk.img 600000
cp disk.img expected
new_parcel vm disk.img
mount_at site_a vm m -o noci
pid=$(daemon_pid m)
write 40
keep 40
log=$(newest_segment)
from=$(end_of_log "$log")
write 100 # is to be lost
for i in 101 41; do
    write $i
    keep $i
done
kill_daemon m "$pid"
spoil "$log" "$((from + 2000))"
mkdir start
cp -a --sparse=always a locksrv home start

# Of the later operations, which publish and give back, every third.
step=0 status=137
while [ "$status" -ne 0 ]; do
    step=$((step + (step < 20 ? 1 : 3)))
    [ "$step" -lt 300 ] || fail 'it never ends'
    rm -rf a locksrv home
    cp -a --sparse=always start/a start/locksrv start/home .
    status=0
    killed_at "$step" isr ci --accept-loss vm >out 2>said || status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 137 ] || fail "step $step: status $status: $(cat said)"
    if [ "$status" -ne 0 ]; then
        again=0
        site_a isr ci --accept-loss vm >out 2>>said || again=$?
        # killed at the very end there is nothing left to do
        [ "$again" -eq 0 ] || [ "$again" -eq 4 ] ||
            fail "step $step, said again: status $again: $(cat said)"
    fi
    grep -q 'vm: disk.img: bytes 409600 to 413695 are lost: what was there before is left' said ||
        fail "step $step: what was given up is not named: $(cat said)"
    [ -z "$(holder vm)" ] || fail "step $step: the lock was not given back"
    rm -f got
    site_b isr export vm disk.img got >out 2>&1 || fail "step $step: $(cat out)"
    same expected got
done
[ "$step" -gt 40 ] || fail "only $step steps"
printf 'killed at up to %s operations\n' "$step"
