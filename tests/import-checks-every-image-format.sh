#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# qcow2, vmdk and vdi images become the disks that they stand for; those that are cut short, or want
# files that are not theirs, are refused, and there is no parcel.
. "$abs_top_srcdir/tests/functions.sh"
requires qemu-img qemu-utils

random_file raw 3000000
truncate -s 20M raw
ISR_LOCKSRV=$tmp/good
export ISR_LOCKSRV
for format in qcow2 vmdk vdi; do
    qemu-img convert -f raw -O "$format" raw "disk.$format"
    site_a isr import --src "$home" "$format" "disk.$format" >out
    site_a isr export "$format" disk.img back
    same raw back
    rm back
done
qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat raw flat.vmdk
site_a isr import --src "$home" flat flat.vmdk >out
site_a isr export flat disk.img - | cmp - raw || fail 'a flat vmdk is not what it was'
# Kept as it is.
site_a isr import --src "$home" kept vm/disk.vmdk=disk.vmdk >out
site_a isr export kept vm/disk.vmdk - | cmp - disk.vmdk || fail 'the vmdk is not what it was'

ISR_LOCKSRV=$tmp/locksrv
refused() { # STATUS FILE REASON
    fails "$1" site_a isr import --src "$home" vm "$2"
    in_one_line "$2" "$3"
    no_parcel
}
for format in qcow2 vmdk vdi; do
    head -c 1500000 "disk.$format" >"cut.$format"
    refused 5 "cut.$format" ''
done
truncate -s 1M flat-flat.vmdk
refused 5 flat.vmdk 'cut short'
qemu-img create -q -f qcow2 -b raw -F raw over.qcow2
refused 1 over.qcow2 'backing file'
mkdir elsewhere
mv disk.vmdk elsewhere
sed 's|flat-flat.vmdk|elsewhere/disk.vmdk|' flat.vmdk >pointer.vmdk
refused 5 pointer.vmdk 'another folder'
head -c 1000 /dev/zero | sed '1s/^/vhdxfile/' >disk.vhdx
refused 1 disk.vhdx vhdx
