#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `mount -t fuse.isrfs PARCEL DIR` works, a line in fstab does, and `umount DIR` waits for the
# check-in. mount(8) looks for programs in the system's folders only, so that those get the
# programs here, in a mount namespace of the test's own.
if [ "$(id -u)" -eq 0 ] && [ -z "${isr_private-}" ] && unshare -m true; then
    isr_private=yes
    export isr_private
    exec unshare -m --propagation private -- /bin/sh "$0"
fi
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires_root
[ -n "${isr_private-}" ] || skip 'no mount namespace can be made here'
[ -x /sbin/mount.fuse3 ] || skip 'mount.fuse3 is missing (Debian package fuse3)'

mkdir bin sbin
ln -s "$(command -v isrfs)" bin/isrfs
ln -s "$(command -v isr)" sbin/umount.fuse.isrfs
mount --bind bin /usr/local/bin
mount -t overlay overlay -o "lowerdir=$tmp/sbin:$(readlink -f /sbin)" "$(readlink -f /sbin)" ||
    skip 'this kernel has no overlay file system'

random_file disk.img 300000
new_parcel vm disk.img
site_a mount -t fuse.isrfs vm "$tmp/m"
same disk.img m/disk.img
case $(findmnt -n -o FSTYPE,OPTIONS m) in
fuse.isrfs*nosuid*nodev*) ;;
*) fail "mounted as $(findmnt -n -o FSTYPE,OPTIONS m)" ;;
esac
printf 'more\n' >m/more
site_a umount m
[ -z "$(holder vm)" ] || fail 'umount did not wait for the check-in'

printf 'vm %s fuse.isrfs noauto,allow_other 0 0\n' "$tmp/n" >fstab
site_b mount -T "$tmp/fstab" "$tmp/n"
same disk.img n/disk.img
[ "$(cat n/more)" = more ] || fail 'more is not there'
case $(findmnt -n -o OPTIONS n) in
*default_permissions*) ;;
*) fail 'allow_other without default_permissions' ;;
esac
status=0
site_b mount -t fuse.isrfs nosuch "$tmp/m" 2>"$said" || status=$?
[ "$status" -ne 0 ] || fail 'a parcel that does not exist was mounted'
grep -q nosuch "$said" || fail "the reason does not come through: $(cat "$said")"

mv "$home" away
printf 'again\n' >n/more
status=0
site_b umount n 2>"$said" || status=$?
[ "$status" -ne 0 ] || fail 'umount says that all is well though nothing is at home'
[ -n "$(holder vm)" ] || fail 'the lock was given back'
mv away "$home"
site_b isr ci vm
