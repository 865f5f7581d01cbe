#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# No plaintext is in the home, the state folder, the log or the lock server's folder: not while a
# parcel is mounted, not after a crash, not after check-in.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

marker=PLAINTEXT-MARKER-$(od -An -tx8 -N 8 /dev/urandom | tr -d ' ')
lines() {
    seq -f "$marker %.0f" 1 "$1"
}
look() {
    for folder in a b locksrv home; do
        [ -e "$folder" ] || continue
        if grep -rqsF --devices=skip -e "$marker" "$folder"; then
            fail "$1: plaintext in $folder: $(grep -rlsF --devices=skip -e "$marker" "$folder" | head -n 3)"
        fi
        if find "$folder" | grep -qF "$marker"; then
            fail "$1: a file's name can be seen in $folder"
        fi
    done
}
printf 'COMPRESSION:=none\n' >a/isr.conf # or it would not be seen
lines 40000 >disk.img
new_parcel vm disk.img
look import
mount_at site_a vm m
lines 30000 >"m/$marker"
sync "m/$marker"
look mounted
pid=$(daemon_pid m)
grep -qF "$marker" "/proc/$pid/cmdline" "/proc/$pid/environ" && fail 'plaintext in arguments'
lines 20000 >m/unsynced
kill_daemon m "$pid"
look killed
site_a isr ci --yes vm
look 'checked in'
site_b isr export vm "$marker" out
lines 30000 | cmp - out || fail 'what was fsynced is lost'
# Nobody else may even list them.
[ "$(stat -c %a a)" = 700 ] || fail 'others may enter the state folder'
find a locksrv -type f -perm /077 | grep . && fail 'others may read files' || :
