#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# When the lock server and the site are lost, the store and the words that `isr import` showed bring
# the parcels back byte for byte, with their numbers; damaged and planted records are passed over.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

# words: those of the last recovery key that was shown in FILE.
words() {
    awk '/YOUR RECOVERY KEY/ { n = 0; split("", w) }
         /^ +[0-9]+ [a-z]+ +[0-9]+ [a-z]+ *$/ { w[$1] = $2; w[$3] = $4; n += 2 }
         END { for (i = 1; i <= n; i++) printf "%s ", w[i] }' "$1"
}
lose_everything() {
    rm -rf locksrv a b
    mkdir a b
}

real_image disk.img
random_file other.img 300000
new_parcel vm disk.img
words import.out >words
[ "$(wc -w <words)" -eq 14 ] || fail "no recovery key was shown: $(cat import.out)"
new_parcel second other.img
[ -z "$(words import.out)" ] || fail 'it was shown twice'
site_a isr recovery-key --show >shown
[ "$(words shown)" = "$(cat words)" ] || fail 'recovery-key shows other words'
fails 2 site_a isr recovery-key

mount_at site_a vm m
printf 'two\n' >m/notes
umount_at site_a m
mount_at site_b vm n
printf 'three\n' >>n/notes
umount_at site_b n
uuid=$(sed -n 's/^UUID:=//p' locksrv/*/parcels/vm/parcel.cfg)

# Records that are planted, damaged, cut short, or of a later number.
records=$home/versions/$uuid
three=$(find "$records" -name '3-*')
sed 's/^NUMBER:=3/NUMBER:=9/' "$three" >"$records/9-${three##*-}"
head -c 100 "$three" >"$records/8-${three##*-}"
sed 's/^SEALED:=.*/SEALED:=00/' "$three" | sed 's/^NUMBER:=3/NUMBER:=7/' >"$records/7-${three##*-}"
head -c 70000 /dev/zero >"$records/6-${three##*-}"
printf 'FORMAT:=1\nUUID:=%s\nNUMBER:=5\nCATALOG:=%s\nTIME:=1\n' "$uuid" "${three##*-}" \
    >"$records/5-${three##*-}"
mkdir "$home/versions/no-uuid"

lose_everything
site_b isr import --recover "$home" <words >out 2>"$said" ||
    fail "cannot recover: $(cat "$said")"
grep -q "^vm ($uuid): 8 version records, readable: 1-3; version 3 of .* is back as version 3$" out ||
    fail "it is not said what was found: $(cat out)"
grep -q '^second (.*): 1 version records, readable: 1; .* as version 1$' out || fail "$(cat out)"
for number in 5 6 7 8 9; do
    grep -q "versions/$uuid/$number-${three##*-} is passed over" "$said" ||
        fail "the record of version $number is not named: $(cat "$said")"
done
grep -q "/5-.*no sealed keyroot" "$said" || fail "it is not said why: $(cat "$said")"
site_b isr export vm disk.img back.img
same disk.img back.img
site_b isr export vm notes notes
[ "$(cat notes)" = "$(printf 'two\nthree')" ] || fail 'not the newest version'
site_b isr export second disk.img back2.img
same other.img back2.img
[ "$(version_of vm)" -eq 3 ] || fail 'the number is another'
site_b isr verify vm >/dev/null || fail 'it cannot be verified'

# The words that the user has stay the user's.
site_b isr recovery-key --show >shown
[ "$(words shown)" = "$(cat words)" ] || fail 'the recovery key is another now'

# Said again, nothing more is done; the parcel goes on.
site_b isr import --recover "$home" vm <words >out 2>"$said" && fail 'it was made twice'
grep -q 'at the lock server already' out || fail "$(cat out)"
rm "$records"/[5-9]-*
mount_at site_b vm n
printf 'four\n' >>n/notes
umount_at site_b n
[ "$(version_of vm)" -eq 4 ] || fail 'it does not go on'

lose_everything
site_a isr import --recover "FILE://$home" vm@2 old <words >out 2>"$said" ||
    fail "they do not bring it back twice: $(cat "$said")"
site_a isr export old notes notes2
[ "$(cat notes2)" = two ] || fail 'version 2 is not what was asked for'
site_a isr import --recover "$home" vm@2 <words >out 2>"$said" || fail "$(cat "$said")"
[ "$(version_of vm)" -eq 5 ] || fail "an older version does not go on above: $(cat out)"
[ "$(version_of old)" -eq 1 ] || fail 'another parcel has another beginning'
[ "$(sed -n 's/^UUID:=//p' locksrv/*/parcels/old/parcel.cfg)" != "$uuid" ] || fail 'two of one uuid'
site_a isr import --recover "$home" third <words >out 2>"$said" && fail 'there is no such parcel'
in_one_line 'no parcel third'

# Version 4's catalog is lost: the one before is taken.
four=$(find "$records" -name '4-*')
rm "$home/chunks"/*/"${four##*-}"
rm -f "$records"/5-*
lose_everything
site_a isr import --recover "$home" vm <words >out 2>"$said" || fail "$(cat "$said")"
grep -q 'readable: 1-3; version 3 of .* as version 5$' out || fail "$(cat out)"
grep -q '/4-.*its catalog is missing' "$said" || fail "it is not said: $(cat "$said")"

# Into an account that has parcels and so a key of its own: that opens it from then on.
lose_everything
site_a isr import --user other --src "$home" mine disk.img >import.out 2>"$said" || fail "$(cat "$said")"
words import.out >others
site_a isr import --user other --recover "$home" vm <words >out 2>"$said" || fail "$(cat "$said")"
lose_everything
site_a isr import --recover "$home" vm <words >out 2>"$said" && fail 'the old words open it'
site_a isr import --recover "$home" vm <others >out 2>"$said" || fail "$(cat "$said")"
grep -q 'version 5 of .* as version 5$' out || fail "$(cat out)"
