#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The main job: a real guest boots from a parcel, is suspended and checked in at one site, and goes
# on at another: the same boot, its counter in RAM goes on, the file that it wrote is there.
. "$abs_top_srcdir/tests/vmm-functions.sh"
requires_fuse
requires debugfs e2fsprogs

# proof IMAGE: what the guest has written last; the journal of a disk in use has to be replayed.
proof() {
    cp --sparse=always "$1" disk.copy
    e2fsck -fy disk.copy >e2fsck.log 2>&1 || [ $? -eq 1 ] || fail "$(cat e2fsck.log)"
    debugfs -R 'cat /proof' disk.copy 2>/dev/null
    rm disk.copy
}

new_guest
new_parcel vm "$guest/vmlinuz" "$guest/initrd.img" "$guest/disk.img" "$guest/qemu.conf"

guest=$tmp/m
mount_at site_a vm m
resume
await_count 7
first_boot=$boot
first_count=$count
hook suspend
must_exist mem.vmss
umount_at site_a m
[ "$(version_of vm)" -eq 2 ] || fail 'the suspended guest was not published'

guest=$tmp/n
mount_at site_b vm n
must_exist mem.vmss
case $(proof n/disk.img) in
*"boot=$first_boot count="*) ;;
*) fail "the guest's file is not there: $(proof n/disk.img)" ;;
esac
resume
await_count $((first_count + 2))
[ "$boot" = "$first_boot" ] || fail 'it has booted anew'
[ "$count" -lt $((first_count + 60)) ] || fail "the counter went from $first_count to $count"
second_count=$count
must_not_exist mem.vmss
hook suspend
must_exist mem.vmss
umount_at site_b n

# And back again, as after a day of work.
guest=$tmp/m
mount_at site_a vm m
resume
await_count $((second_count + 7))
[ "$boot" = "$first_boot" ] || fail 'it has booted anew'
hook suspend
case $(proof m/disk.img) in
*"boot=$first_boot count="*) ;;
*) fail 'the file is not there any more' ;;
esac
umount_at site_a m
[ "$(version_of vm)" -eq 4 ] || fail 'not each suspend was published'
