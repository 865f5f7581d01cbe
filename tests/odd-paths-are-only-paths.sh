#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Blanks, quotes, dollars and .. in the paths of everything.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

odd='it'\''s "odd" $(touch hit) `x` ; & %20 \ ü'
mkdir "$odd"
ISR_LOCKSRV="$tmp/$odd/lock server"
state_one="$tmp/$odd/site one"
state_two="$tmp/$odd/site two"
random_file "$odd/disk file.img" 700000
env ISR_HOME="$state_one" isr import --src "FILE://$tmp/$odd/home" vm "$odd/disk file.img" \
    "settings $odd=$odd/disk file.img"
mkdir "$odd/mount point" "$odd/other"
env ISR_HOME="$state_one" isrfs vm "$odd/other/../mount point"
same "$odd/disk file.img" "$odd/mount point/disk.img"
same "$odd/disk file.img" "$odd/mount point/settings $odd"
printf 'new\n' >"$odd/mount point/new $odd"
env ISR_HOME="$state_one" isr umount "$odd/other/../mount point/"
cd "$odd" || exit 1
env ISR_HOME="$state_two" isr export vm "new $odd" "../out $odd"
[ "$(cat "../out $odd")" = new ] || fail 'what was written is lost'
[ -z "$(find "$tmp" -name hit)" ] || fail 'a path was run as a command'
