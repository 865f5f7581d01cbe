#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The commands answer to the names that they had in the first Internet Suspend/Resume.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
as() { # NAME
    mkdir -p bin
    ln -sf "$(command -v isr)" "bin/$1"
}
for name in isr_get_parcel_names isr_parcel_co isr_parcel_ci isr_parcel_verify; do
    as "$name"
done
site_a bin/isr_get_parcel_names | grep -q '^vm\b' || fail 'vm is not listed'
site_a bin/isr_parcel_co vm
[ -n "$(holder vm)" ] || fail 'not checked out'
site_a bin/isr_parcel_verify vm
site_a bin/isr_parcel_ci vm
[ -z "$(holder vm)" ] || fail 'not checked in'
