#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The lock is taken from a site that is at work, and another site publishes. The first site's check-in
# is refused with one line that says what to do, and `isr ci --as` makes a parcel of what its machine
# had written, byte for byte. The other site's version stays as it is.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

break_lock() {
    ISR_LOCKSRV_ROOT=$ISR_LOCKSRV "$ISR_LIBEXEC/lockserver/isr_break_lock" "$(id -un)" "$1" \
        </dev/null >"$tmp/broken" || fail 'the lock cannot be broken'
}

random_file disk.img 5000000
random_file mine 900000
random_file theirs 700000
cp disk.img expected
dd if=mine of=expected bs=1000 seek=333 conv=notrunc status=none
cp disk.img published
dd if=theirs of=published bs=1000 seek=777 conv=notrunc status=none
new_parcel vm disk.img

mount_at site_a vm m
dd if=mine of=m/disk.img bs=1000 seek=333 conv=notrunc,fsync status=none
mkdir m/folder
cp mine m/folder/file
break_lock vm
mount_at site_b vm n
dd if=theirs of=n/disk.img bs=1000 seek=777 conv=notrunc,fsync status=none
umount_at site_b n
fails 3 site_a isr umount m
says 'lock' "isr ci --as NEWNAME vm"

# Whatever is tried next says the same, and nothing is lost by it.
fails 3 site_a isr ci vm
in_one_line 'taken from this site' 'isr ci --as NEWNAME vm' 'isr discard vm'
fails 3 site_a isrfs vm m
in_one_line 'isr ci --as NEWNAME vm'
fails 1 site_a isr ci --as vm vm
in_one_line 'there is a parcel vm already'
fails 2 site_a isr ci --as 'no/name' vm

site_a isr ci --as mine >out # it is the only one here
grep -q 'checked in as the parcel mine' out || fail "it says: $(cat out)"
[ "$(site_a isr status --json)" = '[]' ] || fail 'something is left at this site'
[ -z "$(holder mine)" ] || fail 'the new parcel is locked'
site_b isr history mine | grep -q 'lost its lock' || fail 'the history does not say where it is from'
mount_at site_b mine n
same expected n/disk.img
same mine n/folder/file
umount_at site_b n
mount_at site_b vm n
same published n/disk.img
[ ! -e n/folder ] || fail 'work of the first site is in the parcel'
umount_at site_b n
[ "$(version_of vm)" = 2 ] || fail 'the parcel has another version'
site_b isr verify --all mine

# A lost lock can be given up as well: only what is here goes.
mount_at site_a vm m -o noci
cp mine m/more
umount_at site_a m
break_lock vm
fails 1 site_a isr discard vm
says 'in 1 file (more'
site_a isr discard --yes vm >out
grep -q 'taken from this site' out || fail "it says: $(cat out)"
[ "$(site_a isr status --json)" = '[]' ] || fail 'something is left at this site'

# Broken as stolen: nobody can read that log any more, and discarding still works.
site_a isr co vm
ISR_LOCKSRV_ROOT=$ISR_LOCKSRV "$ISR_LIBEXEC/lockserver/isr_break_lock" "$(id -un)" vm stolen \
    </dev/null >"$tmp/broken"
fails 3 site_a isr ci --as again vm
in_one_line 'stolen' 'isr discard vm'
site_a isr discard --yes vm >out
[ "$(site_a isr status --json)" = '[]' ] || fail 'something is left at this site'
