#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr history` shows each version, newest or oldest first, with time, size and site.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
mount_at site_a vm m
printf 'two\n' >m/two
umount_at site_a m
mount_at site_b vm n
printf 'three\n' >n/three
umount_at site_b n
mount_at site_b vm n # nothing is changed: no version
umount_at site_b n
site_a isr history --json vm >history
jq -e 'map(.version) | sort == [1, 2, 3]' history || fail "versions: $(cat history)"
jq -e 'map(select(.version == 2))[0].site | test("/a$")' history || fail 'made at another site'
jq -e 'map(select(.version == 3))[0].site | test("/b$")' history || fail 'made at another site'
jq -e --argjson now "$(date +%s)" 'all(.[]; .time > $now - 600 and .time <= $now)' history ||
    fail "times: $(cat history)"
# What each put at home: the disk; a file's chunk, node and the catalog; the same again.
jq -e '.[0].new_bytes > 300000 and (.[1:] | all(.[]; .new_bytes > 0 and .new_bytes < 10000))' history ||
    fail "new bytes: $(cat history)"
site_a isr history vm >lines
[ "$(grep -c "$(date +%Y-)" lines)" -eq 3 ] || fail "history: $(cat lines)"
