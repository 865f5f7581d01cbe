#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A lock server that offers an older version than a site has seen, or than the store holds, or another
# in its place, is refused in one line; a person may go on all the same.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
for n in 2 3; do
    mount_at site_a vm m
    printf '%s\n' "$n" >m/notes
    umount_at site_a m
    cp -a locksrv "server.$n"
done
mount_at site_a vm m
printf '4\n' >m/notes
umount_at site_a m
cp -a locksrv server.4
serve() {
    rm -rf locksrv
    cp -a "server.$1" locksrv
}

# This site has seen version 4.
serve 3
fails 5 site_a isr co vm
in_one_line 'names version 3 as the newest' 'has seen version 4' 'isr co --accept-older vm'
[ -z "$(holder vm)" ] || fail 'the lock is kept'
fails 5 site_a isrfs vm m
# Reading goes on, and says so.
site_a isr export vm notes out 2>"$said"
in_one_line 'has seen version 4'
[ "$(cat out)" = 3 ] || fail 'not what the lock server has'

# Another one has not, but the store holds it: one version more may be a check-in that was cut off.
site_b isr co vm 2>"$said" || fail "$(cat "$said")"
grep -q 'its home has version 4, of which the lock server knows nothing' "$said" ||
    fail "it is not said: $(cat "$said")"
site_b isr ci vm
rm -rf b
mkdir b
serve 2
fails 5 site_b isr co vm
in_one_line 'names version 2 as the newest' 'home has version 4'
[ -z "$(holder vm)" ] || fail 'the lock is kept'

# A record that nobody with the key has written proves nothing.
serve 4
records=$(echo "$home"/versions/*)
catalog=$(find "$records" -name '4-*')
catalog=${catalog##*-}
sed 's/^NUMBER:=4/NUMBER:=99/' "$records/4-$catalog" >"$records/99-$catalog"
site_b isr co vm 2>"$said" || fail "a planted record stops it: $(cat "$said")"
grep -q "99-$catalog at home is damaged, or not sealed" "$said" || fail "not said: $(cat "$said")"
site_b isr ci vm
rm "$records/99-$catalog"

# Another version of the same number.
serve 3
site_b isr co --accept-older vm 2>"$said" || fail "$(cat "$said")"
grep -q 'going on all the same' "$said" || fail 'it is not said'
site_b isrfs vm n
printf 'other\n' >n/notes
umount_at site_b n
[ "$(version_of vm)" -eq 4 ] || fail 'it does not go on'
fails 5 site_a isr co vm
in_one_line 'another version 4 than this site has seen'
# Whoever has accepted it is not asked again, nor held to what it had seen before.
site_b isr co vm
site_b isr ci vm
site_a isr co --accept-older vm 2>"$said"
site_a isr ci vm
site_a isr co vm
site_a isr ci vm
