#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A chunk at home is damaged, and the machine has written a part of it. The check-in is refused (exit
# 5) and names what cannot be read; `isr ci --accept-loss` checks in what was written, with zeros for
# the rest of that chunk, and everything else as it was.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 1310720 # ten chunks
cp disk.img expected
new_parcel vm disk.img
mount_at site_a vm m -o noci
head -c 8192 /dev/urandom >blocks
dd if=blocks of=m/disk.img bs=4096 seek=66 conv=notrunc,fsync status=none # in chunk 2
kill_daemon m

# Chunk 2 is the object without which its bytes cannot be exported.
find "$home/chunks" -type f -size +100k >objects
while read -r object; do
    cp "$object" kept
    printf 'x' | dd of="$object" bs=1 seek=5000 conv=notrunc status=none
    rm -f got
    site_b isr export vm disk.img got >out 2>&1 || :
    if grep -q 'chunk 2 ' out; then
        break
    fi
    cp kept "$object"
done <objects
grep -q 'chunk 2 ' out || fail "the chunk was not found: $(cat out)"

fails 5 site_a isr ci --yes vm
says 'are damaged or missing' 'isr ci --accept-loss vm'
grep -q 'disk.img: bytes 262144 to 270335 are lost: zeros are left there' "$said" || fail "$(cat "$said")"
grep -q 'disk.img: bytes 278528 to 393215 are lost: zeros are left there' "$said" || fail "$(cat "$said")"
[ -n "$(holder vm)" ] || fail 'the lock was given back'

site_a isr ci --accept-loss vm >out 2>said
grep -q 'bytes 278528 to 393215' said || fail "what was given up is not named: $(cat said)"
dd if=/dev/zero of=expected bs=131072 seek=2 count=1 conv=notrunc status=none
dd if=blocks of=expected bs=4096 seek=66 conv=notrunc status=none
rm -f got
site_b isr export vm disk.img got
same expected got
