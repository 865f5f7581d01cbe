#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# With the lock server on another machine, reached by ssh, a parcel is imported, changed at one site
# and read at another, as with a folder; over libssh and over the system's ssh.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
. "$abs_top_srcdir/tests/ssh-functions.sh"
start_sshd

random_file disk.img 3000000
new_parcel vm disk.img
mount_at site_a vm m
random_file more.img 500000
cp more.img m/
case $(holder vm) in
*"$tmp/a") ;;
*) fail "site a does not hold the lock: '$(holder vm)'" ;;
esac
fails 3 site_b isrfs vm n
in_one_line 'out by ann at'
umount_at site_a m
[ -z "$(holder vm)" ] || fail 'the lock was not given back'
mount_at site_b vm n
same disk.img n/disk.img
same more.img n/more.img
umount_at site_b n

ISR_SSH=$system_ssh
export ISR_SSH
mount_at site_a vm m
rm m/more.img
umount_at site_a m
site_b isr history vm >history
[ "$(grep -c . history)" -ge 3 ] || fail "the history is too short: $(cat history)"
site_b isr ls | grep -q vm || fail 'the parcel is not listed'
grep -q "ann publish vm" "$root/ann/audit" || fail 'nothing was recorded'
