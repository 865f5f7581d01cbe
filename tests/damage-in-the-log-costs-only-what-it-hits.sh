#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# After a crash two bytes of the site log have changed, below what an fsync promised: in blocks that
# were written, in a chunk's object, or in operations on names. A mount and a check-in are refused
# (exit 5) and name the file and the range, or say that what is lost has no name; nothing is touched.
# `isr status`, which cannot read the log, promises nothing. `isr ci --accept-loss` names it again and
# checks in all the rest: the range is as it was before.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
. "$abs_top_srcdir/tests/damage-functions.sh"

# begin: a mount; what is lost comes next. crash: and is promised by what comes after.
begin() {
    mount_at site_a vm m
    pid=$(daemon_pid m)
    write 3
    keep 3
    log=$(newest_segment)
    from=$(end_of_log "$log")
}

crash() {
    for i in 201 200 202; do
        write $i
        keep $i
    done
    kill_daemon m "$pid"
}

# refused LINE SUM
refused() {
    rm -rf before
    cp -a --sparse=always a before
    site_a isr status vm >out
    grep -q '(isr mount or isr ci reads what it kept, and says so if that is damaged)$' out ||
        fail "the status is: $(cat out)"
    for command in 'isrfs vm m' 'isr ci --yes vm'; do
        # shellcheck disable=SC2086 # words
        fails 5 site_a $command
        says "$2" 'isr ci --accept-loss vm'
        grep -q "$1" "$said" || fail "it does not say '$1': $(cat "$said")"
    done
    for folder in log nonce; do
        diff -r "$(echo a/parcels/*/vm)/$folder" "$(echo before/parcels/*/vm)/$folder" ||
            fail "something was touched"
    done
}

# given_up LINE VERSION
given_up() {
    site_a isr ci --accept-loss vm >out 2>said
    grep -q "$1" said || fail "what was given up is not named: $(cat said)"
    grep -q "checked in as version $2" out || fail "it says: $(cat out)"
    mount_at site_b vm n
    same expected n/disk.img
}

random_file disk.img 3000000
cp disk.img expected
new_parcel vm disk.img

begin
write 100
spoil_at=$((from + 2000))
for i in 101 41; do
    write $i
    keep $i
done
cp block m/new
cp block new
sync m/new
crash
spoil "$log" "$spoil_at"
range='vm: disk.img: bytes 409600 to 413695 are lost: what was there before is left'
refused "$range" '4096 bytes are damaged'
given_up "$range" 2
same new n/new
umount_at site_b n

# A chunk that is written as a whole is an object of the log, and compressed.
begin
text_file chunk 131072
dd if=chunk of=m/disk.img bs=131072 seek=4 conv=notrunc,fsync status=none
[ "$(end_of_log "$log")" -lt "$((from + 60000))" ] || fail 'it was written block by block'
crash
spoil "$log" "$((from + 200))"
range='vm: disk.img: bytes 524288 to 655359 are lost: what was there before is left'
refused "$range" '131072 bytes are damaged'
given_up "$range" 3
umount_at site_b n

begin
mkdir m/folder
sync m/folder
crash
spoil "$log" "$((from + 24))"
line='vm: what 1 of the records held is not known: names, sizes or blocks of files'
refused "$line" 'and changes that have no name'
given_up "$line" 4
[ ! -e n/folder ] || fail 'the folder was not lost'
same new n/new
umount_at site_b n
