#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# When the disk is full suspend fails with one line, nothing of the memory is left, and the guest
# goes on as if nothing had been. The full disk is a tmpfs in a mount namespace of this test.
. "$abs_top_srcdir/tests/vmm-functions.sh"

if [ "${1-}" != inside ]; then
    unshare --user --map-root-user --mount true || skip 'this machine has no user namespaces'
    status=0
    unshare --user --map-root-user --mount \
        sh "$abs_top_srcdir/tests/$test_name.sh" inside || status=$?
    exit "$status"
fi

new_guest
mv "$guest" "$tmp/files"
mkdir "$guest"
# Room for the guest's files and 16 MB of its memory.
used=$(du -sk "$tmp/files" | cut -f 1)
mount -t tmpfs -o "size=$((used + 16384))k,mode=700" tmpfs "$guest" || fail 'cannot mount a tmpfs'
for file in vmlinuz initrd.img disk.img qemu.conf; do
    cp --sparse=always "$tmp/files/$file" "$guest/"
done

resume || fail 'cannot boot'
await_count 1
first=$boot
fails 1 hook suspend
in_one_line 'cannot write mem.vmss'
must_not_exist mem.vmss mem.vmss.tmp
await_count $((count + 3))
[ "$boot" = "$first" ] || fail 'the guest has booted again'
