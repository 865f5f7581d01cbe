#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr discard` says what would be lost, asks at a terminal, and does nothing without a yes or --yes;
# with it the site's changes are gone, the lock is free, and the parcel is what it was. What is mounted
# is refused.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 3000000
cp disk.img before
new_parcel vm disk.img
mount_at site_a vm m -o noci
random_file new 400000
cp new m/new
dd if=new of=m/disk.img bs=4096 count=20 conv=notrunc,fsync status=none
fails 3 site_a isr discard --yes vm
in_one_line 'mounted at' "$tmp/m" 'first isr umount --noci vm .*then isr discard vm$'
umount_at site_a m

fails 1 site_a isr discard vm
says 'nothing was thrown away' 'in 2 files' 'disk.img' 'new' 'since 20' '[-]-yes'
[ -n "$(holder vm)" ] || fail 'the lock was given back'
if has_terminal; then
    printf 'no\n' | script -q -e -c "ISR_HOME='$tmp/a' isr discard vm" typescript >/dev/null &&
        fail 'it did not take no for an answer'
    tr -d '\r\n' <typescript |
        grep -q 'in 2 files .*disk.img.*since 20.*Throw it away? .*nothing was thrown away' ||
        fail "it does not say what would be lost: $(cat typescript)"
    [ -n "$(holder vm)" ] || fail 'the lock was given back after a no'
fi
site_a isr discard --yes vm >out
grep -q 'thrown away: .* in 2 files.*version 1' out || fail "it says: $(cat out)"
[ -z "$(holder vm)" ] || fail 'the lock is still held'
[ "$(site_a isr status --json)" = '[]' ] || fail 'something is left at this site'
[ "$(find "$home/holds" -type f | wc -l)" -eq 0 ] || fail 'its hold at home is left'

mount_at site_b vm n
same before n/disk.img
[ ! -e n/new ] || fail 'the new file is there'
umount_at site_b n
[ "$(version_of vm)" = 1 ] || fail 'there is another version'

# After a crash what only the journal has is counted too; without changes there is nothing to ask.
mount_at site_a vm m
pid=$(daemon_pid m)
cp new m/new
sync m/new
kill_daemon m "$pid"
fails 1 site_a isr discard vm
says 'in 1 file (new 39[0-9] KiB'
if has_terminal; then
    printf 'yes\n' | script -q -e -c "ISR_HOME='$tmp/a' isr discard vm" out >/dev/null ||
        fail "$(cat out)"
else
    site_a isr discard --yes vm >out
fi
grep -q 'thrown away: .* in 1 file ' out || fail "it says: $(cat out)"
[ -z "$(holder vm)" ] || fail 'the lock is still held after a yes'
site_a isr co vm
site_a isr discard vm >out
grep -q 'nothing was changed' out || fail "it says: $(cat out)"
fails 4 site_a isr discard vm
in_one_line 'not checked out'
