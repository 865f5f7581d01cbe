#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr rollback` makes an old version the newest one, copies nothing, and loses no version. It is
# refused while the parcel is checked out elsewhere, or has changes here that are not checked in.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 3000000
new_parcel vm disk.img
mount_at site_a vm m
random_file m/disk.img 2000000
cp m/disk.img second.img
umount_at site_a m
chunks() {
    find "$home/chunks" -type f | sort
}
chunks >before

fails 4 site_a isr rollback vm 3
in_one_line 'vm@3' 'version'
fails 2 site_a isr rollback vm 0
fails 2 site_a isr rollback vm x
[ -z "$(holder vm)" ] || fail 'a failed rollback keeps the lock'

# Checked out elsewhere; mounted here; changes here.
site_b isr co vm
fails 3 site_a isr rollback vm 1
in_one_line "$tmp/b" 'break-lock'
site_b isr ci vm
mount_at site_a vm m
fails 3 site_a isr rollback vm 1
in_one_line 'in use' 'mounted'
printf 'three\n' >m/three
sync m/three
kill_daemon m
fails 1 site_a isr rollback vm 1
in_one_line 'not checked in' 'isr ci vm'
[ "$(version_of vm)" -eq 2 ] || fail 'a refused rollback has published'
site_a isr ci --yes vm
[ "$(version_of vm)" -eq 3 ] || fail 'the changes are gone'
chunks >before

site_a isr rollback -m 'as on Monday' vm 1 >out
grep -q 'version 4 is as version 1' out || fail "$(cat out)"
[ -z "$(holder vm)" ] || fail 'the lock is kept'
chunks | cmp - before || fail 'something was copied'
site_b isr export vm disk.img first.out
same first.out disk.img
site_b isr export vm@2 disk.img second.out
same second.out second.img
site_b isr history --json vm >table
jq -e '.[3] | .new_bytes == 0 and .comment == "as on Monday" and .version == 4' table ||
    fail "$(cat table)"
jq -e '.[3].bytes == .[0].bytes' table || fail 'another size'
# record VERSION: the catalog that the record at home names.
record() {
    find "$home/versions" -type f -name "$1-*" -printf '%f\n' | cut -d - -f 2
}
[ -n "$(record 4)" ] || fail 'the version has no record at home'
[ "$(record 4)" = "$(record 1)" ] || fail 'the record names another catalog'
[ -z "$(find "$home/holds" -type f)" ] || fail 'a hold is left'
site_a isr verify --all vm

# Again: nothing to do.
site_a isr rollback vm 1 >out
grep -q 'nothing to do' out || fail "$(cat out)"
[ "$(version_of vm)" -eq 4 ] || fail 'a version for nothing'

# Who has it checked out, unchanged, goes on from there.
site_b isr co vm
site_b isr rollback vm 2 >out
grep -q 'version 5 is as version 2.*stays checked out' out || fail "$(cat out)"
mount_at site_b vm n
same n/disk.img second.img
printf 'x\n' >n/x
umount_at site_b n
[ "$(version_of vm)" -eq 6 ] || fail 'no version after it'
site_b isr export vm disk.img second.again
same second.again second.img
