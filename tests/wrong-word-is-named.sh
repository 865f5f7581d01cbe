#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A recovery key with a typing error is refused in one line that names the word by its number; one
# that is another's opens nothing, and says so.
. "$abs_top_srcdir/tests/functions.sh"

recover() {
    site_a isr import --recover "$home" vm
}
refused() {
    status=0
    recover <typed >out 2>"$said" || status=$?
    [ "$status" -eq 1 ] || fail "exit $status"
    in_one_line "$1"
    no_parcel
}

random_file disk.img 200000
new_parcel vm disk.img
sed -n 's/^ *\([0-9]* [a-z]*\)  *\([0-9]* [a-z]*\) *$/\1\n\2/p' import.out | sort -n |
    sed 's/^[0-9]* //' | tr '\n' ' ' >words
[ "$(wc -w <words)" -eq 14 ] || fail "no words: $(cat import.out)"
rm -rf locksrv
word() {
    cut -d ' ' -f "$1" words
}

# The third word: one that is no word, one that is another, one too many, none.
awk '{ $3 = $3 "x"; print }' words >typed
refused 'word 3 is none of the words'
other=zoo
[ "$(word 3)" != zoo ] || other=abandon
awk -v w="$other" '{ $3 = w; print }' words >typed
refused 'word 3 is wrong'
if [ "$(word 5)" != "$(word 6)" ]; then
    awk '{ w = $5; $5 = $6; $6 = w; print }' words >typed
    refused 'words 5 and 6 have changed places'
fi
printf '%s zoo\n' "$(cat words)" >typed
refused '14 words, not 15'
: >typed
refused '14 words, not 0'
# Nothing of the key is repeated.
printf 'abandon ancient match hammer fever crisp timber crew produce toy jeans that local defx' >typed
refused 'word 14'
if grep -q -e defx -e local "$said"; then
    fail "it repeats the words: $(cat "$said")"
fi
# Right in themselves, and another's.
printf 'abandon ancient match hammer fever crisp timber crew produce toy jeans that local defy' >typed
refused 'opens none of the 1 version records'
# Any way of writing them down.
awk '{ for (i = 1; i <= NF; i++) printf "%d. %s\n", i, toupper(substr($i, 1, 4)) }' words >typed
recover <typed >out 2>"$said" || fail "$(cat "$said")"
site_a isr export vm disk.img back.img
same disk.img back.img
