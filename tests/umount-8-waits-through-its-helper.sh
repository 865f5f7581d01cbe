#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What umount(8) runs as umount.fuse.isrfs returns when the parcel is checked in. The helper is
# called here as umount(8) calls it, since only root could put it where that looks.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
ln -s "$(command -v isr)" umount.fuse.isrfs
for options in '' '-n -v' '-t fuse.isrfs'; do
    mount_at site_a vm m
    random_file m/new 20000000
    # shellcheck disable=SC2086
    env -u ISR_HOME -u ISR_LOCKSRV HOME=/nonexistent ./umount.fuse.isrfs "$tmp/m" $options >out
    [ -z "$(holder vm)" ] || fail 'it did not wait'
    mountpoint -q m && fail 'it is still mounted'
    :
done
[ "$(version_of vm)" -eq 4 ] || fail 'not each time a version'
fails 1 ./umount.fuse.isrfs "$tmp/m"
fails 2 ./umount.fuse.isrfs
