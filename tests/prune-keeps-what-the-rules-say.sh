#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr prune` lists what goes and what stays, and forgets the rest at the lock server and in the
# records at home; never the newest version, and never one that a check-out works from.
. "$abs_top_srcdir/tests/functions.sh"
requires jq

printf 'one\n' >note
new_parcel vm note
i=1
while [ "$i" -lt 8 ]; do
    i=$((i + 1))
    site_a isr resize -m "the $i" vm note "$((10 + i))" >/dev/null
done
# As if they had been made on other days: 3 in June, one in July, the rest on two days of August.
versions=$(find "$ISR_LOCKSRV" -path '*/parcels/vm/versions')
awk -v OFS=' ' 'BEGIN { split("1780300800 1780304400 1780387200 1784000000 1786000000 " \
    "1786003600 1786090000 1786093600", time, " ") } { $2 = time[NR]; print }' "$versions" >edited
cp edited "$versions"
uuid=$(sed -n 's/^UUID:=//p' "${versions%/*}/parcel.cfg")
records() {
    find "$home/versions/$uuid" -type f -printf '%f\n' | cut -d - -f 1 | sort -n | tr '\n' ' '
}
left() {
    site_b isr history --json vm | jq -c 'map(.version)'
}

for words in '' '--keep 0' '--keep x' '--keep -1' '--keep-daily' '--keep 1 2'; do
    # shellcheck disable=SC2086 # several words
    fails 2 site_a isr prune vm $words
done
fails 4 site_a isr prune none --keep 1
site_a isr prune vm --dry-run --keep 2 --keep-daily 3 --keep-monthly 3 >plan
for line in '1 .*would go' '2 .*would go' '3 .*stays (monthly)' '4 .*stays (daily)' '5 .*would go' \
    '6 .*stays (daily)' '7 .*stays (last)' '8 .*stays (newest).*the 8' '3 of 8 versions would'; do
    grep -q "$line" plan || fail "'$line' is not said: $(cat plan)"
done
[ "$(left)" = '[1,2,3,4,5,6,7,8]' ] || fail 'a dry run does something'
[ "$(records)" = '1 2 3 4 5 6 7 8 ' ] || fail 'a dry run removes records'

find "$home/chunks" -type f | sort >before
site_a isr prune vm --keep 2 --keep-daily 3 --keep-monthly 3 >out
grep -q 'stay at.*until garbage is collected' out || fail "it does not say what stays: $(cat out)"
[ "$(left)" = '[3,4,6,7,8]' ] || fail "left: $(left)"
[ "$(records)" = '3 4 6 7 8 ' ] || fail "records: $(records)"
find "$home/chunks" -type f | sort | cmp - before || fail 'objects were touched'
site_b isr export vm@3 note third
[ "$(stat -c %s third)" -eq 13 ] || fail 'version 3 is another'
fails 4 site_b isr export vm@5 note fifth
fails 4 site_b isr rollback vm 5
site_a isr prune vm --keep 2 --keep-daily 3 --keep-monthly 3 | grep -q 'no version goes' ||
    fail 'more goes the second time'

# A check-out works from 8, then from 9 and perhaps still from 8.
site_b isr co vm
site_b isr resize vm note 100 >/dev/null
site_b isr resize vm note 101 >/dev/null
site_a isr prune vm --keep 1 --json >out
jq -e 'map(select(.kept) | .version) == [9, 10]' out || fail "$(cat out)"
[ "$(left)" = '[9,10]' ] || fail "left: $(left)"
[ "$(records)" = '9 10 ' ] || fail "records: $(records)"
site_b isr ci vm
site_a isr prune vm --keep 1 >/dev/null
[ "$(left)" = '[10]' ] || fail "left: $(left)"
site_b isr verify --all vm
site_b isr resize vm note 5 --shrink
[ "$(version_of vm)" -eq 11 ] || fail 'numbers are used again'

# Many at once, and without the home.
i=0
while [ "$i" -lt 400 ]; do
    i=$((i + 1))
    tail -n 1 "$versions" | sed "s/^[0-9]*/$((11 + i))/" >>lines
done
cat lines >>"$versions"
site_a isr prune vm --keep-weekly 1 >/dev/null
[ "$(left)" = '[411]' ] || fail "left: $(left | head -c 200)"
mv "$home" "$home.away"
fails 6 site_a isr prune vm --keep 1
site_a isr prune vm --keep 1 --dry-run >/dev/null
