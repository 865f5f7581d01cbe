#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What ordinary programs do with files and folders is there at the other site.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires fallocate util-linux

random_file disk.img 1000001
printf 'gone\n' >gone.txt
new_parcel vm disk.img gone.txt
mount_at site_a vm m
mkdir -p m/folder/inner m/empty m/removed plain/folder/inner plain/empty
for root in m plain; do
    text_file "$root/mem.vmss" 2500000
    printf 'a\n' >"$root/folder/a"
    printf 'b\n' >"$root/folder/b"
    mv "$root/folder/b" "$root/folder/a" # replaces
    printf 'c\n' >"$root/folder/c"
    mv "$root/folder/c" "$root/folder/inner/moved, with blanks and ÄÖÜ"
    : >"$root/nothing"
    text_file "$root/cut" 1000000
    truncate -s 300001 "$root/cut"
    truncate -s 900000 "$root/cut" # the tail reads as zeros
    text_file "$root/grown" 1000
    truncate -s 5000000 "$root/grown"
    text_file "$root/punched" 1000000
    fallocate -p -o 100000 -l 500000 "$root/punched"
    text_file "$root/zeroed" 1000000
    fallocate -z -o 4096 -l 262144 "$root/zeroed"
    printf 'appended\n' >>"$root/zeroed"
    chmod 751 "$root/cut"
    chmod 500 "$root/empty"
    touch -d '2004-06-01 12:34:56.789' "$root/grown"
    touch -d '1999-12-31 23:59:59' "$root/empty"
done
rm m/gone.txt
rmdir m/removed
fails 1 rmdir m/folder
cp disk.img plain/disk.img
printf 'patched' | dd of=m/disk.img bs=1 seek=131070 conv=notrunc status=none
printf 'patched' | dd of=plain/disk.img bs=1 seek=131070 conv=notrunc status=none
umount_at site_a m

mount_at site_b vm n
diff -r plain n || fail 'contents differ'
(cd n && find . -type f -printf '%m %s %p\n' | sort) >found
(cd plain && find . -type f -printf '%m %s %p\n' | sort) >expected
(cd n && find . -mindepth 1 -type d -printf '%m %p\n' | sort) >>found
(cd plain && find . -mindepth 1 -type d -printf '%m %p\n' | sort) >>expected
sed -i 's/^\([0-9]* [0-9]*\) \.\/disk\.img$/\1 .\/disk.img/' found
diff expected found || fail 'modes, sizes or names differ'
[ "$(stat -c %y n/grown)" = "$(stat -c %y plain/grown)" ] || fail 'the time of a file is lost'
[ "$(stat -c %y n/empty)" = "$(stat -c %y plain/empty)" ] || fail 'the time of a folder is lost'
umount_at site_b n
