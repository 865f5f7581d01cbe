#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# After `isr rekey` the parcel reads the same, no object and no key of it is one of before, the
# versions before are gone, and the parcel goes on. It may be killed at any step and said again.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

objects() {
    find "$home/chunks" -type f -name '????????????????*' | sed 's|.*/||' | sort
}
current() {
    tail -n 1 locksrv/*/parcels/vm/versions
}
# with_records: how many uuids have version records at home.
with_records() {
    find "$home/versions" -type f -printf '%h\n' | sort -u | wc -l
}
uuid() {
    sed -n 's/^UUID:=//p' locksrv/*/parcels/vm/parcel.cfg
}

real_image disk.img
random_file other.img 500000
new_parcel vm disk.img
mount_at site_a vm m
mkdir m/folder
printf 'two\n' >m/folder/notes
: >m/empty
truncate -s 5G m/sparse
printf 'x' | dd of=m/sparse bs=1 seek=4G conv=notrunc status=none
umount_at site_a m
objects >before
new_parcel other other.img
uuid >uuid-before
current | cut -d ' ' -f 9 >keyroot-before

# Not without being asked, not while it is checked out.
fails 1 site_a isr rekey vm
site_b isr co vm
fails 3 site_a isr rekey --yes vm
fails 3 site_b isr rekey --yes vm
in_one_line 'check it in first'
site_b isr ci vm

# Killed at each step: at the first objects, at the version record, at and after publishing.
real=$real_libexec/lockserver/isr_rekey
# shellcheck disable=SC2016 # the shell that is made expands it
for at in 'kill -KILL $PPID; exit 1' \
    "ISR_LOCKSRV_ROOT=\$ISR_LOCKSRV_ROOT $real \"\$@\" >/dev/null; kill -KILL \$PPID; exit 1"; do
    printf '#!/bin/sh\n%s\n' "$at" | replace_command isr_rekey
    status=0
    env ISR_LIBEXEC="$tmp/libexec" ISR_HOME="$tmp/a" isr rekey --yes vm >out 2>&1 || status=$?
    [ "$status" -eq 137 ] || fail "it was not killed: $status $(cat out)"
    [ "$(with_records)" -eq 3 ] || fail 'not killed where it should be'
    [ -z "$(holder vm)" ] || [ "$(uuid)" = "$(cat uuid-before)" ] || fail 'half of it is published'
    if [ "$(uuid)" = "$(cat uuid-before)" ]; then
        fails 3 site_b isr co vm # the lock is kept
    fi
done
# The second one was published: what is left is done.
[ "$(uuid)" != "$(cat uuid-before)" ] || fail 'not published'
site_a isr rekey --yes vm >out 2>"$said" || fail "cannot be said again: $(cat "$said")"
grep -q 'had been rekeyed as version 3' out || fail "$(cat out)"
[ -z "$(holder vm)" ] || fail 'the lock is kept'
[ "$(with_records)" -eq 2 ] || fail 'the old version records are still there'
[ -z "$(find "$home/holds" -type f)" ] || fail 'a hold is left'

# And once without being killed.
site_a isr rekey --yes vm >out 2>"$said" || fail "cannot rekey: $(cat "$said")"
grep -q 'rekeyed as version 4' out || fail "$(cat out)"
grep -q 'can still read' out || fail 'it is not said what it does not do'
[ "$(find "$home/versions" -type f | wc -l)" -eq 2 ] || fail 'records of versions before are left'

# Nothing of it is what it was. What the new version needs is what is left when the old objects go.
current | cut -d ' ' -f 9 >keyroot-after
[ "$(cut -c 1-64 keyroot-before)" != "$(cut -c 1-64 keyroot-after)" ] || fail 'the key is the same'
[ "$(cut -c 65-128 keyroot-before)" != "$(cut -c 65-128 keyroot-after)" ] || fail 'the catalog is'
while IFS= read -r id; do
    rm "$home/chunks"/*/"$id"
done <before
site_b isr verify vm 2>"$said" || fail "it needs an old object: $(cat "$said")"
site_b isr export vm disk.img back.img
same disk.img back.img
# The other parcel still has its own.
site_b isr export other disk.img back2.img
same other.img back2.img

# It goes on, under its own secret: the same bytes once more get none of the old names.
mount_at site_b vm n
[ "$(cat n/folder/notes)" = two ] || fail 'a file is lost'
[ -f n/empty ] && [ ! -s n/empty ] || fail 'the empty file is lost'
[ "$(stat -c %s n/sparse)" -eq 5368709120 ] || fail 'a size is lost'
[ "$(dd if=n/sparse bs=1 skip=4G count=1 status=none)" = x ] || fail 'data behind a hole is lost'
cp disk.img n/again.img
umount_at site_b n
[ "$(version_of vm)" -eq 5 ] || fail 'it does not go on'
fails 4 site_b isr export vm@2 disk.img old.img
site_b isr export vm@4 disk.img back4.img
same disk.img back4.img
objects >after
[ -z "$(comm -12 before after)" ] || fail "written under the old secret: $(comm -12 before after)"
[ "$(uuid)" != "$(cat uuid-before)" ] || fail 'the uuid is the same'

# The words bring it back too.
site_a isr recovery-key --show | sed -n 's/^ *\([0-9]* [a-z]*\)  *\([0-9]* [a-z]*\) *$/\1\n\2/p' |
    sort -n >words
rm -rf locksrv b
mkdir b
site_b isr import --recover "$home" vm <words >out 2>"$said" || fail "$(cat "$said")"
site_b isr export vm again.img back5.img
same disk.img back5.img
