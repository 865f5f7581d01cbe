#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The daemon was killed. `isr status` says so, and the next mount or check-in says in one line what
# it found in the site log; after a mount that ended in order nothing is said.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

line='vm: the last mount ended without a commit; [0-9]* changes in 2 files (.* [kM]B) up to [0-9:]* were recovered from the site log'

random_file disk.img 3000000
random_file new 300000
new_parcel vm disk.img
site_a isrfs vm m 2>said
[ ! -s said ] || fail "a first mount says: $(cat said)"
cp new m/new
dd if=new of=m/disk.img bs=4096 count=3 conv=notrunc,fsync status=none
sync m/new
kill_daemon m
site_a isr status vm >status
grep -q 'the last mount ended without a commit, last written at 20' status ||
    fail "the status is: $(cat status)"
[ "$(site_a isr status --json | jq '.[0].crashed')" = true ] || fail 'no crash in --json'

site_a isrfs vm m 2>said
in_one_line "^isrfs: $line"
same new m/new
site_a isr status --json >status
jq -e '.[0].recovered | .files == 2 and .changes >= 2 and .bytes >= 300000 and .until > 1000000000' \
    status >/dev/null || fail "the status is: $(cat status)"
site_a isr status | grep -q 'recovered after a mount that ended without a commit' ||
    fail 'the status does not say what was recovered'

# Once more, without having been committed since: it is found again, by `isr ci`.
kill_daemon m
site_a isr ci --yes vm 2>said >out
in_one_line "^isr ci: $line"
site_a isr mount vm m 2>said
[ ! -s said ] || fail "a mount after a check-in says: $(cat said)"
umount_at site_a m
