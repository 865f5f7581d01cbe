#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# An export of a user's records cannot be read without its passphrase; restored, it breaks every lock,
# goes on above every version that is known, and each site is told what it must know.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

user=$(id -un)
root=$tmp/locksrv
mkdir libexec
cp "$abs_top_srcdir/scripts/isr_admin" libexec/
ln -s "$abs_top_srcdir/scripts/lockserver" libexec/lockserver
ln -s "$abs_top_builddir/lockclient/isr-look" "$abs_top_builddir/lockclient/isr-keep" libexec/
ln -s "$abs_top_builddir/isrfs/cmd/isr-seal" libexec/isr-seal
admin() {
    libexec/isr_admin "$root" "$@"
}
restore() {
    admin import "$user" --passphrase-file pass "$@" <backup
}
printf 'correct horse battery\n' >pass
printf 'correct horse batterz\n' >wrong
printf 'short\n' >short

random_file disk.img 300000
new_parcel vm disk.img
new_parcel other disk.img
mount_at site_a vm m
printf 'two\n' >m/notes
umount_at site_a m
site_b isr co other # the lock that the backup knows
keyroot=$(tail -n 1 locksrv/*/parcels/vm/versions | cut -d ' ' -f 9)

# Sealed.
fails 1 admin export "$user" --passphrase-file short
fails 1 admin export "$user" --passphrase-file no-such-file
fails 4 admin export nobody --passphrase-file pass
admin export "$user" --passphrase-file pass >backup 2>"$said" || fail "$(cat "$said")"
admin export "$user" --passphrase-fd 5 5<pass >again
! cmp -s backup again || fail 'salt and nonce are not random'
[ "$(head -c 4 backup)" = ISRX ] || fail 'no header'
for secret in "$keyroot" parcels versions "$(cat "locksrv/$user/secret")" "$(cat "locksrv/$user/recovery")" UUID; do
    ! LC_ALL=C grep -q -a -F -e "$secret" backup || fail "it has $secret in the clear"
done
! tar -tf backup >/dev/null 2>&1 || fail 'it is an archive in the clear'

# The passphrase, the whole passphrase, and every byte as it was.
cp -a locksrv before
bad() {
    status=0
    admin import "$user" --replace --passphrase-file "$1" <"$2" >out 2>"$said" || status=$?
    [ "$status" -eq 1 ] || fail "exit $status instead of 1"
    in_one_line "$3"
    cmp "$root/$user/secret" "before/$user/secret" || fail 'the records were touched'
    [ ! -e "$root/.import" ] || fail 'something is left'
}
bad wrong backup 'passphrase is another'
size=$(stat -c %s backup)
for byte in 0 5 8 30 40 $((size / 2)) $((size - 1)); do
    cp backup damaged
    was=$(dd if=backup bs=1 skip="$byte" count=1 status=none | od -An -tu1 | tr -d ' ')
    # shellcheck disable=SC2059 # made for it
    printf "\\$(printf %o $(((was + 1) % 256)))" | dd of=damaged bs=1 seek="$byte" conv=notrunc status=none
    bad pass damaged 'another, or\|no backup\|not allowed'
done
head -c $((size - 20)) backup >damaged
bad pass damaged 'another, or'
: >damaged
bad pass damaged empty
fails 1 restore
in_one_line '.--replace puts'

# Work after the backup: a version that it does not know, and check-outs at both sites.
mount_at site_a vm m
printf 'three\n' >m/notes
umount_at site_a m
site_a isr co vm
site_b isr ci other
site_b isr co other

# The same machine: what was there says how far the numbers had come.
restore --replace >out 2>"$said" || fail "cannot restore: $(cat "$said")"
grep -q "^$user vm is at version 4" out || fail "$(cat out)"
[ -z "$(find "locksrv/$user" -name holder)" ] || fail 'a lock is not broken'
[ "$(cat "locksrv/$user/epoch")" -gt 1 ] || fail 'no new epoch'
[ "$(cat "locksrv/$user/recovery")" = "$(cat "before/$user/recovery")" ] || fail 'another recovery key'
fails 3 site_a isr ci vm
in_one_line 'taken from this site'
fails 3 site_b isr ci other
site_b isr history vm | grep -q 'version 2 of a restored backup' || fail "$(site_b isr history vm)"
rm -rf a b
mkdir a b
site_a isr co vm 2>"$said" || fail "$(cat "$said")"
site_a isr ci vm
mount_at site_b vm n
[ "$(cat n/notes)" = two ] || fail 'not what the backup has'
printf 'five\n' >n/notes
umount_at site_b n
[ "$(version_of vm)" -eq 5 ] || fail 'it does not go on'
[ "$(cat "$(find locksrv/.removed -path '*/parcels/vm/versions')" | wc -l)" -eq 3 ] ||
    fail 'what was there is not kept'

# A new machine, whose homes are folders there: the version records say it.
rm -rf locksrv
mkdir locksrv
restore >out 2>"$said" || fail "cannot restore: $(cat "$said")"
grep -q "^$user vm is at version 6" out || fail "$(cat out)"
site_b isr co vm 2>"$said" || fail "$(cat "$said")"
grep -q 'restored from a backup' "$said" || fail "the site is not told: $(cat "$said")"
site_b isr ci vm

# One that knows nothing of later versions: the site does, and its person tells.
rm -rf locksrv
mkdir locksrv
mv home away
restore >out 2>"$said" || fail "cannot restore: $(cat "$said")"
grep -q "^$user vm is at version 2" out || fail "$(cat out)"
mv away home
fails 5 site_b isr co vm
in_one_line 'names version 2' 'seen version 6' 'restored from a backup'
restore --replace --above 7 >out 2>"$said" || fail "$(cat "$said")"
grep -q "^$user vm is at version 8" out || fail "$(cat out)"
site_b isr co vm 2>"$said" || fail "$(cat "$said")"
site_b isr ci vm
site_b isr verify vm >/dev/null
