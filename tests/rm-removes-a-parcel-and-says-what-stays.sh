#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr rm` asks for the parcel's name; then the lock server knows neither the parcel nor its keys, and
# its home has no record of its versions. It says that the objects stay. A clone is not touched.
. "$abs_top_srcdir/tests/functions.sh"

random_file disk.img 300000
new_parcel vm disk.img
site_a isr clone vm copy
site_a isr resize vm disk.img 1M
folder=$(find "$ISR_LOCKSRV" -path '*/parcels/vm')
uuid=$(sed -n 's/^UUID:=//p' "$folder/parcel.cfg")
keyroot=$(cut -d ' ' -f 9 "$folder/versions" | tail -n 1)
[ "$(find "$home/versions/$uuid" -type f | wc -l)" -eq 2 ] || fail 'not two records'

fails 1 site_a isr rm vm
in_one_line 'not removed' '--yes'
site_b isr co vm
fails 3 site_a isr rm --yes vm
in_one_line "$tmp/b"
site_b isr ci vm
if has_terminal; then
    printf 'yes\n' | script -q -e -c "ISR_HOME='$tmp/a' isr rm vm" typescript >/dev/null &&
        fail 'yes is not the name'
    grep -q "Type the parcel's name" typescript || fail "$(cat typescript)"
fi
[ "$(site_a isr ls --json | jq length)" -eq 2 ] || fail 'it was removed'
find "$home/chunks" -type f | sort >before
if has_terminal; then
    printf 'vm\n' | script -q -e -c "ISR_HOME='$tmp/a' isr rm vm" out >/dev/null || fail "$(cat out)"
else
    site_a isr rm --yes vm >out
fi
grep -q 'stay at.*until garbage is collected' out || fail "it does not say what stays: $(cat out)"
find "$home/chunks" -type f | sort | cmp - before || fail 'objects were touched'
[ -z "$(find "$home/versions/$uuid" -type f)" ] || fail 'records of its versions are left'
site_a isr ls --json | jq -e 'map(.parcel) == ["copy"]' || fail 'it is still listed'
grep -rqF "$keyroot" "$ISR_LOCKSRV" && fail 'its keys are still there'
grep -q " remove vm uuid=$uuid version=2 " "$ISR_LOCKSRV"/*/audit || fail 'it is not recorded'
fails 4 site_a isr co vm
fails 4 site_a isr rm --yes vm
site_b isr export copy disk.img out.img
same out.img disk.img

# The name is free.
new_parcel vm disk.img
site_b isr export vm disk.img again.img
same again.img disk.img
mv "$home" "$home.away"
fails 6 site_a isr rm --yes vm
site_a isr rm --yes --home-is-lost vm
[ "$(site_a isr ls --json | jq length)" -eq 1 ] || fail 'it was not removed'
