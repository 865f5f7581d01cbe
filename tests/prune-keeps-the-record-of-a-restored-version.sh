#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A restored backup publishes its version under a higher number. `isr prune` before the next check-out
# leaves that version's record at home, so that its objects stay wanted and the recovery key opens it;
# and if that record cannot be had, nothing is pruned.
. "$abs_top_srcdir/tests/functions.sh"

user=$(id -un)
mkdir libexec
cp "$abs_top_srcdir/scripts/isr_admin" libexec/
ln -s "$abs_top_srcdir/scripts/lockserver" libexec/lockserver
ln -s "$abs_top_builddir/lockclient/isr-look" "$abs_top_builddir/lockclient/isr-keep" libexec/
ln -s "$abs_top_builddir/isrfs/cmd/isr-seal" libexec/isr-seal
printf 'correct horse battery\n' >pass
admin() {
    libexec/isr_admin "$tmp/locksrv" "$@" --passphrase-file pass
}

random_file disk.img 300000
new_parcel vm disk.img
uuid=$(sed -n 's/^UUID:=//p' locksrv/*/parcels/vm/parcel.cfg)
records=$home/versions/$uuid
# records_are NUMBER...
records_are() {
    printf '%s\n' "$@" >wanted
    find "$records" -type f -printf '%f\n' | cut -d - -f 1 | sort -n | cmp - wanted ||
        fail "records at home: $(ls "$records")"
}

site_a isr resize vm disk.img 1M >out 2>&1
admin export "$user" >backup
site_a isr resize vm disk.img 2M >out 2>&1
records_are 1 2 3
# Restored twice, and nobody has checked out between: neither has a record.
admin import "$user" --replace <backup >out
admin import "$user" --replace --above 9 <backup >out
grep -q "^$user vm is at version 10" out || fail "$(cat out)"
records_are 1 2 3
admin export "$user" >second
admin import "$user" --replace --above 20 <second >out
! site_b isr history vm | grep '(null)' || fail 'a version that no site has made is not shown rightly'

# What it shares its catalog with is to go, and the catalog cannot be read.
catalog=$(find "$records" -name '2-*')
catalog=${catalog##*-}
object=$(find "$home/chunks" -name "*$catalog" -o -name "${catalog#??}" | head -n 1)
[ -n "$object" ] || object=$(find "$home" -type f -path "*$(printf %s "$catalog" | tail -c 50)")
mv "$object" away
fails 5 site_b isr prune --keep 1 vm
says 'nothing is pruned' 'has no record at home'
mv away "$object"
site_b isr history --json vm | jq -r '.[].version' >versions
printf '1\n2\n10\n21\n' | cmp - versions || fail "versions: $(cat versions)"

site_b isr prune --keep 2 vm >out
records_are 3 10 21 # 3 is of a check-in that the restored lock server knows nothing of
site_b isr prune --keep 1 vm >out
records_are 3 21
site_b isr verify vm >out
record=$(find "$records" -name '21-*')
grep -q '^SEALED:=' "$record" || fail 'its record is not sealed'
[ "${record##*-}" = "$catalog" ] || fail 'its record names another catalog'
