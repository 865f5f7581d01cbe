#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr resize` makes a disk larger, with zeros at its end, as a new version; it cuts off the end only
# when told to.
. "$abs_top_srcdir/tests/functions.sh"

random_file disk.img 300000
new_parcel vm disk.img
site_a isr resize -m 'more room' vm disk.img 5G >out
grep -q '5368709120 bytes in version 2' out || fail "$(cat out)"
[ -z "$(holder vm)" ] || fail 'the lock is kept'
site_b isr export vm disk.img grown
[ "$(stat -c %s grown)" -eq 5368709120 ] || fail 'another size'
cmp -n 300000 grown disk.img || fail 'the beginning is another'
[ "$(du -k grown | cut -f 1)" -lt 10000 ] || fail 'the end is no hole'
site_b isr history --json vm | jq -e '.[1] | .comment == "more room" and .new_bytes < 100000' ||
    fail 'the history is wrong'

fails 1 site_a isr resize vm disk.img 100000
in_one_line 'cut off' '--shrink'
[ "$(version_of vm)" -eq 2 ] || fail 'a refused resize has published'
[ -z "$(holder vm)" ] || fail 'a refused resize keeps the lock'
site_a isr resize --shrink vm disk.img 100000
site_b isr export vm disk.img shrunk
[ "$(stat -c %s shrunk)" -eq 100000 ] || fail 'another size'
cmp -n 100000 shrunk disk.img || fail 'the beginning is another'
# What was cut off does not come back.
site_a isr resize vm disk.img 300000
site_b isr export vm disk.img again
head -c 100000 disk.img >expected
truncate -s 300000 expected
same again expected
site_b isr export vm@1 disk.img first
same first disk.img
site_a isr resize vm disk.img 300000 >out
grep -q already out || fail "$(cat out)"
[ "$(version_of vm)" -eq 4 ] || fail 'a version for nothing'

fails 4 site_a isr resize vm nosuch.img 1M
fails 4 site_a isr resize none disk.img 1M
for size in x -1 1.5G 1GB '' 99999999999999999999 9999999P; do
    fails 2 site_a isr resize -- vm disk.img "$size"
done
[ -z "$(holder vm)" ] || fail 'a failed resize keeps the lock'
site_b isr co vm
fails 3 site_a isr resize vm disk.img 1M
in_one_line "$tmp/b"
site_b isr resize vm disk.img 1M >out
grep -q 'stays checked out' out || fail "$(cat out)"
site_b isr ci vm
[ "$(version_of vm)" -eq 5 ] || fail 'not published'
site_a isr verify --all vm
