#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The home hangs, in the way that puts whoever asks it beyond SIGKILL or with its server stopped:
# every command that needs it ends within the limit with status 6 and one line, and does its work
# when the home answers again.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/home-functions.sh"

home_starts
set_limits a 1
set_limits b 1
random_file disk.img 2000000
new_parcel vm disk.img
random_file changed.img 1000000
site_a isr co vm
mount_at site_a vm m -o noci
cp changed.img m/
umount_at site_a m
new_parcel other disk.img

# unreachable SITE COMMAND...: it says that within the limit. The time of a few calls, and of slow machines.
unreachable() {
    began=$(milliseconds)
    unreachable_home=$tmp/$1
    shift
    fails 6 timeout 60 env ISR_HOME="$unreachable_home" "$@"
    [ $(($(milliseconds) - began)) -lt 20000 ] || fail "it takes too long: $*"
    # What hangs only later may have been told of before.
    if [ "$late" ]; then
        says "$home\|Host is down"
    else
        in_one_line "$home"
    fi
    rm -f out.img
}

all() {
    unreachable a isr import --src "$home" new disk.img
    unreachable a isr import --src "FILE://$home/below" new disk.img
    unreachable a isr co other
    [ -z "$(holder other)" ] || fail 'the lock is kept'
    unreachable a isr mount other n
    unreachable a isr ci vm
    [ -n "$(holder vm)" ] || fail 'the lock is gone'
    unreachable a isr verify --all vm
    unreachable b isr verify other
    unreachable b isr export vm disk.img out.img
}

late=
home_hangs
all
home_answers
home_stops
all
home_continues
# It hangs only for what comes after the opening.
late=yes
home_hangs chunks
unreachable a isr ci vm
unreachable a isr verify --all vm
unreachable b isr verify other
unreachable b isr export vm disk.img out.img
unreachable a isr import --src "$home" new disk.img
home_answers

site_a isr import --src "$home" new disk.img || fail 'nothing can be imported'
site_a isr ci vm || fail 'it cannot be checked in'
site_b isr verify vm || fail 'it is not whole'
site_b isr export vm changed.img out.img
same changed.img out.img
