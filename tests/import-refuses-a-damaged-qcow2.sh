#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A damaged qcow2 image is refused, and nothing of a parcel can be seen.
. "$abs_top_srcdir/tests/functions.sh"
requires qemu-img qemu-utils
requires jq

real_image raw.img
qemu-img convert -f raw -O qcow2 raw.img good.qcow2
refused() { # IMAGE
    fails "$2" site_a isr import --src "FILE://$home" vm "$1"
    grep -q "$1" "$said" || fail "the file is not named: $(cat "$said")"
    no_parcel
}
size=$(stat -c %s good.qcow2)
head -c $((size / 2)) good.qcow2 >cut.qcow2
refused cut.qcow2 5
cp good.qcow2 header.qcow2 # the mapping tables' place
printf '\377\377\377\377\377\377\377\377' | dd of=header.qcow2 bs=1 seek=40 conv=notrunc status=none
refused header.qcow2 5
head -c 50 good.qcow2 >stump.qcow2
refused stump.qcow2 5
fails 4 site_a isr import --src "FILE://$home" vm nosuch.qcow2
new_parcel vm good.qcow2
site_b isr export vm disk.img out
same raw.img out
