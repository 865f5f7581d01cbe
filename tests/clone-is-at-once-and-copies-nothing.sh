#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr clone` makes a parcel of its own from any version, at once: no object is copied, and what is
# done to one is not seen in the other.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 3000000
new_parcel vm disk.img
mount_at site_a vm m
random_file m/more 500000
cp m/more more
umount_at site_a m
mount_at site_a vm m # others may have it checked out
find "$home/chunks" -type f | sort >before
site_b isr clone vm copy >out
grep -q 'copy: version 1 is as version 2 of vm' out || fail "$(cat out)"
site_b isr clone -m 'the old one' vm@1 old
find "$home/chunks" -type f | sort | cmp - before || fail 'something was copied'
umount_at site_a m

site_b isr export copy more out.more
same out.more more
site_b isr export old disk.img out.disk
same out.disk disk.img
fails 4 site_b isr export old more nothing
[ "$(version_of copy)" -eq 1 ] || fail 'not version 1'
[ "$(find "$home/versions" -type f | wc -l)" -eq 4 ] || fail 'not a record for each version'
[ "$(find "$home/versions" -mindepth 1 -maxdepth 1 -type d | wc -l)" -eq 3 ] ||
    fail 'not a uuid for each parcel'
site_b isr history --json old | jq -e '.[0] | .comment == "the old one" and .new_bytes == 0' ||
    fail 'its history is wrong'

# Each goes its own way.
mount_at site_b copy n
printf 'copy\n' >n/disk.img
umount_at site_b n
[ "$(version_of copy)" -eq 2 ] || fail 'the clone was not checked in'
[ "$(version_of vm)" -eq 2 ] || fail 'the other has a new version too'
site_a isr export vm disk.img out.vm
same out.vm disk.img

fails 1 site_b isr clone vm copy
in_one_line 'parcel copy already'
fails 1 site_b isr clone vm vm
fails 4 site_b isr clone vm@9 new
in_one_line 'vm@9'
fails 4 site_b isr clone none new
fails 2 site_b isr clone vm ../new
fails 2 site_b isr clone vm
[ "$(find "$home/versions" -type f | wc -l)" -eq 5 ] || fail 'a refused clone leaves a record'
[ "$(site_a isr ls --json | jq length)" -eq 3 ] || fail 'a refused clone leaves a parcel'
