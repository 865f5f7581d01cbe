#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A lock server that stops answering, before, while or after we log in, is given up after the time
# limit with status 6; nothing hangs, no work is lost, and it is brought home when it answers again.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
. "$abs_top_srcdir/tests/ssh-functions.sh"
start_sshd
set_up_site "$tmp/a" 5
set_up_site "$tmp/b" 2

random_file disk.img 300000
new_parcel vm disk.img

# It accepts connections (the kernel does) and says nothing.
kill -s STOP "$listener"
fails 6 timeout 60 env ISR_HOME="$tmp/b" isr ls
in_one_line 'did not answer'
fails 6 timeout 60 env ISR_HOME="$tmp/b" ISR_SSH="$system_ssh -o ConnectTimeout=2" isr ls
kill -s CONT "$listener"

# It stops while we log in: the daemon's connection is open, and the process behind it is stopped.
mount_at site_a vm m
random_file new.img 200000
cp new.img m/
daemon=$(daemon_pid m)
stopped=$(session_pids)
[ -n "$stopped" ] || fail 'the daemon has no connection'
# shellcheck disable=SC2086 # several
kill -s STOP "$listener" $stopped
status=0
timeout 120 env ISR_HOME="$tmp/a" isr umount m >umount.out 2>&1 || status=$?
[ "$status" -eq 6 ] || fail "unmounting gave $status: $(cat umount.out)"
wait_gone "$daemon"
[ -n "$(holder vm)" ] || fail 'the lock is gone'
# shellcheck disable=SC2086 # several
kill -s CONT "$listener" $stopped
site_a isr ci vm || fail 'it cannot be checked in afterwards'
mount_at site_b vm n
same new.img n/new.img
umount_at site_b n

# A command that never ends there.
let_in 'echo $$ >>'"$tmp"'/hung; exec sleep 1000'
fails 6 timeout 60 env ISR_HOME="$tmp/b" isr ls
in_one_line 'did not answer'
let_in 'echo $$ $PPID >>'"$tmp"'/hung; kill -s STOP $PPID; exec sleep 1000'
fails 6 timeout 60 env ISR_HOME="$tmp/b" isr ls
in_one_line 'did not answer'
let_in 'echo $$ >>'"$tmp"'/hung; exec sleep 1000'
fails 6 timeout 100 env ISR_HOME="$tmp/b" ISR_SSH="$system_ssh" isr ls
in_one_line 'did not answer'
