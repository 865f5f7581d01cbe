#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A folder with anything in it but a store is not made a home, and stays as it is.
. "$abs_top_srcdir/tests/functions.sh"
requires jq

random_file disk.img 300000
mkdir "$home"
printf 'mine\n' >"$home/notes"
fails 1 site_a isr import --src "FILE://$home" vm disk.img
says "$home"
[ "$(ls -A "$home")" = notes ] || fail 'something was made there'
no_parcel
fails 6 site_a isr import --src "FILE://$tmp/no/such/parent" vm disk.img
rm "$home/notes"
new_parcel vm disk.img
new_parcel vm2 disk.img # a second one in the same home
fails 1 site_a isr import --src "FILE://$home" vm disk.img
in_one_line vm
[ "$(version_of vm)" -eq 1 ] || fail 'the first one was changed'
