#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What does not exist is called so: exit 4, one line with its name.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
fails 6 site_a isrfs nosuch m # there is no lock server at all yet
in_one_line locksrv
new_parcel vm disk.img
for command in 'isrfs nosuch m' 'isr mount nosuch m' 'isr co nosuch' 'isr ci nosuch' \
    'isr run nosuch' 'isr history nosuch' 'isr verify nosuch' 'isr checkpoint nosuch' \
    'isr export nosuch disk.img out' 'isrfs nosuch@1 m'; do
    # shellcheck disable=SC2086 # a command line
    fails 4 site_a $command
    in_one_line nosuch
done
fails 4 site_a isrfs vm@7 m
in_one_line 'no such version'
fails 4 site_a isr export vm nosuch.img out
in_one_line nosuch.img
[ ! -e out ] || fail 'an output file was made'
if mountpoint -q m; then
    fail 'mounted'
fi
[ -z "$(holder vm)" ] || fail 'a lock is held'
