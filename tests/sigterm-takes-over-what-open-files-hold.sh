#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# SIGTERM while a program has a file open that it has written to and never flushed: the mount ends
# all the same, and what was written is checked in.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires perl

random_file disk.img 300000
new_parcel vm disk.img
random_file written 40000000
mount_at site_a vm m
pid=$(daemon_pid m)
mkfifo ready go
# The mode keeps everyone out, the daemon too.
# shellcheck disable=SC2016 # these are perl's
perl -MFcntl -e '
    open(my $from, "<", "written") or die;
    sysopen(my $to, "m/held", O_WRONLY | O_CREAT, 0) or die;
    while (sysread($from, my $part, 1 << 20)) { syswrite($to, $part) or die }
    open(my $ready, ">", "ready") or die;
    close($ready);
    open(my $go, "<", "go") or die;
' &
holder=$!
: <ready
kill -s TERM "$pid"
wait_unlocked site_a vm "$pid"
if mountpoint -q m; then
    fail 'still mounted'
fi
: >go
wait "$holder" || fail 'the program with the open file failed'
site_b isr export vm held held
same written held
