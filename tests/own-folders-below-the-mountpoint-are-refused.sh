#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The state folder or the home below the parcel's own mountpoint would hang the machine.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
refused() { # STATE DIR
    fails 1 env ISR_HOME="$1" isrfs vm "$2"
    in_one_line "$2"
    if mountpoint -q "$2"; then
        fail 'mounted'
    fi
    [ -z "$(holder vm)" ] || fail 'the lock is kept'
}
refused "$tmp/m/state" m
rm -rf m/state
ln -s m link
refused "$tmp/link/state" m
refused "$tmp/a" "$tmp"
refused "$tmp/a" "$home/.."
refused "$tmp/a" "$home"
