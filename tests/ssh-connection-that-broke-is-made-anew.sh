#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The connection to the lock server ends while a parcel is mounted, for an hour or for good: the
# check-in makes a new one if it can, and else says so with status 6 and loses nothing.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
. "$abs_top_srcdir/tests/ssh-functions.sh"
start_sshd

random_file disk.img 300000
new_parcel vm disk.img
mount_at site_a vm m
random_file one.img 100000
cp one.img m/
# shellcheck disable=SC2046 # several
kill -s KILL $(session_pids)
umount_at site_a m
[ -z "$(holder vm)" ] || fail 'it was not checked in'

mount_at site_a vm m
same one.img m/one.img
random_file two.img 100000
cp two.img m/
daemon=$(daemon_pid m)
stop_sshd
fails 6 site_a isr umount m
wait_gone "$daemon"
[ -n "$(holder vm)" ] || fail 'the lock is gone'
fails 6 site_a isr ci vm
start_sshd
site_a isr ci vm || fail 'it cannot be checked in when the server is back'
mount_at site_b vm n
same two.img n/two.img
umount_at site_b n

# It ends while a command runs there: whether it was done is not known, and nothing is repeated.
# shellcheck disable=SC2016 # for the server's shell
let_in 'echo run >>'"$tmp"'/runs; kill -s KILL $PPID; sleep 1'
fails 6 site_b isr ls
in_one_line 'broke'
[ "$(wc -l <runs)" -eq 1 ] || fail 'a command was sent twice'
