#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A disk image with a real file tree is changed at one site and comes back whole at another.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires e2fsck e2fsprogs
requires debugfs e2fsprogs

# change_by_mount IMAGE TREE: the kernel's own ext4 on a loop device; TREE gets what it holds then.
change_by_mount() {
    mkdir fs
    mount -o loop "$1" fs || return 1
    mkdir fs/new
    seq 1 100000 >fs/new/numbers
    cp -R fs/usr fs/new/copy
    rm -rf fs/usr/include/linux
    random_file fs/new/random 3000000
    find fs/usr -type f | head -n 20 | while IFS= read -r file; do
        printf 'changed\n' >>"$file"
    done
    sync -f fs
    cp -a fs "$2"
    umount fs
}

# change_by_hand IMAGE TREE: the same without a loop device.
change_by_hand() {
    seq 1 100000 >numbers
    random_file random 3000000
    debugfs -w "$1" >debugfs.log 2>&1 <<COMMANDS
mkdir new
cd new
write numbers numbers
write random random
COMMANDS
    mkdir "$2"
    debugfs -R "rdump / $2" "$1" >>debugfs.log 2>&1
    same "$2/new/numbers" numbers
}

real_image disk.img
new_parcel vm disk.img
mount_at site_a vm m
same m/disk.img disk.img
if [ "$(id -u)" -eq 0 ] && losetup -f >/dev/null 2>&1; then
    change_by_mount m/disk.img expected || fail 'cannot loop-mount the disk'
else
    change_by_hand m/disk.img expected
fi
umount_at site_a m

mount_at site_b vm n
e2fsck -fn n/disk.img || fail 'the file system is damaged'
mkdir found
debugfs -R 'rdump / found' n/disk.img >debugfs.log 2>&1
diff -r --no-dereference expected found || fail 'files differ'
[ "$(find found -type f | wc -l)" -gt 50 ] || fail 'no files came back'
umount_at site_b n
[ "$(version_of vm)" -eq 2 ] || fail 'reading made a new version'
