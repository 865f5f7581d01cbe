#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `mount -t fuse.isrfs PARCEL DIR` works, and so does a line in fstab.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires_root
[ -x /sbin/mount.fuse3 ] || skip 'mount.fuse3 is missing (Debian package fuse3)'

random_file disk.img 300000
new_parcel vm disk.img
site_a mount -t fuse.isrfs vm "$tmp/m"
same disk.img m/disk.img
case $(findmnt -n -o FSTYPE,OPTIONS m) in
fuse.isrfs*nosuid*nodev*) ;;
*) fail "mounted as $(findmnt -n -o FSTYPE,OPTIONS m)" ;;
esac
printf 'more\n' >m/more
umount_at site_a m

printf 'vm %s fuse.isrfs noauto,allow_other 0 0\n' "$tmp/n" >fstab
site_b mount -T "$tmp/fstab" "$tmp/n"
same disk.img n/disk.img
[ "$(cat n/more)" = more ] || fail 'more is not there'
case $(findmnt -n -o OPTIONS n) in
*default_permissions*) ;;
*) fail 'allow_other without default_permissions' ;;
esac
fails 1 site_b mount -t fuse.isrfs nosuch "$tmp/m"
umount_at site_b n
