#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr verify --all` reads every object; it says what is damaged or missing, and exits with 5.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 3000000
new_parcel vm disk.img
site_a isr verify --all vm
object=$(find "$home/chunks" -type f -size +127k | sort | sed -n 7p)
cp "$object" good
truncate -s 100 "$object"
fails 5 site_a isr verify --all vm
grep -q "${object##*/}" "$said" || fail "the object is not named: $(cat "$said")"
grep -q 'disk.img' "$said" || fail "the file is not named: $(cat "$said")"
rm "$object"
fails 5 site_a isr verify --all vm
cp good "$object"
site_a isr verify --all vm
[ -z "$(holder vm)" ] || fail 'the lock is kept'
