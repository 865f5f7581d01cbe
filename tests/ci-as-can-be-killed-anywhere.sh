#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr ci --as` is killed at each operation on a disk in turn, and said again: the parcel is there
# once, with every byte, and nothing of the site is removed before.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
. "$abs_top_srcdir/tests/kill-functions.sh"

random_file disk.img 600000
random_file mine 300000
cp disk.img expected
dd if=mine of=expected bs=1000 seek=33 conv=notrunc status=none
new_parcel vm disk.img
mount_at site_a vm m -o noci
dd if=mine of=m/disk.img bs=1000 seek=33 conv=notrunc,fsync status=none
kill_daemon m
ISR_LOCKSRV_ROOT=$ISR_LOCKSRV "$ISR_LIBEXEC/lockserver/isr_break_lock" "$(id -un)" vm </dev/null >broken
mkdir start
cp -a a locksrv home start

step=0 status=137
while [ "$status" -ne 0 ]; do
    step=$((step + 1))
    [ "$step" -lt 300 ] || fail 'it never ends'
    rm -rf a locksrv home
    cp -a start/a start/locksrv start/home .
    status=0
    killed_at "$step" isr ci --yes --as mine vm >out 2>&1 || status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 137 ] || fail "step $step: status $status: $(cat out)"
    if [ "$status" -ne 0 ]; then
        if site_b isr ls --json | jq -e '.[] | select(.parcel == "mine")' >/dev/null; then
            there=yes
        else
            [ -e "$(find a -name nonce)" ] || fail "step $step: the work is gone, no parcel is there"
            there=no
        fi
        again=0
        site_a isr ci --yes --as mine vm >out 2>&1 || again=$?
        # killed at the very end there is nothing left to do
        case $again:$there in
        0:* | 4:yes) ;;
        *) fail "step $step, said again: status $again: $(cat out)" ;;
        esac
    fi
    [ "$(site_a isr status --json)" = '[]' ] || fail "step $step: something is left at this site"
    rm -f got
    site_b isr export mine disk.img got >out 2>&1 || fail "step $step: no parcel: $(cat out)"
    same expected got
    [ "$(find home/versions -name '1-*' | wc -l)" -eq 2 ] || fail "step $step: wrong version records"
    [ "$(site_b isr ls --json | jq length)" -eq 2 ] || fail "step $step: not two parcels"
done
[ "$step" -gt 20 ] || fail "only $step steps"
printf 'killed at each of %s operations\n' "$((step - 1))"
