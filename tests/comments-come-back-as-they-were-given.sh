#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The comment of a version comes back exactly, whatever printable text it is; what is more than one
# line, or no text, is refused in one line. A terminal gets nothing that it would obey.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

printf 'one\n' >note
new_parcel vm note
count=1
# back TEXT: as a comment.
back() {
    count=$((count + 1))
    site_a isr resize -m "$1" vm note "$((10 + count))" >/dev/null
    got=$(site_b isr history --json vm | jq -r '.[-1].comment')
    [ "$got" = "$1" ] || fail "'$1' came back as '$got'"
    [ "$(version_of vm)" -eq "$count" ] || fail "'$1' is more than a comment"
}
back 'before the upgrade'
back '%0aKEYROOT:=00'
back '%%00%n%s\n\0'
back "quotes ' and \" and \` and \$(touch $tmp/made) ; | & < >"
back ' spaces  inside and at both ends '
back 'müde – 再開 🙂'
back '-'
back '--yes'
back 'KEYROOT:=1 # keep'
back "$(printf '%01024d' 0)"
# Through the daemon of a mounted parcel, and at check-in.
mount_at site_a vm m
for text in '%0aKEYROOT:=00 "müde"' "$(printf '%01024d' 0)"; do
    count=$((count + 1))
    printf '%s\n' "$count" >m/note
    site_a isr checkpoint -m "$text" vm
    got=$(site_b isr history --json vm | jq -r '.[-1].comment')
    [ "$got" = "$text" ] || fail "'$text' came back as '$got'"
done
umount_at site_a m
[ "$(version_of vm)" -eq "$count" ] || fail 'not a version for each checkpoint'
[ ! -e made ] || fail 'a comment was run'
history=$(find "$ISR_LOCKSRV" -path '*/parcels/vm/versions')
[ "$(wc -l <"$history")" -eq "$count" ] || fail 'a comment has become a line'

site_a isr co vm
# refused TEXT
refused() {
    for command in checkpoint ci; do
        fails 2 site_a isr "$command" -m "$1" vm
        head -n 1 "$said" | grep -q -e '--comment' || fail "$(cat "$said")"
    done
    fails 2 site_a isr import -m "$1" new note
}
refused "$(printf 'two\nlines')"
refused "$(printf 'a\rb')"
refused "$(printf 'a\tb')"
refused "$(printf 'red\033[31m')"
refused "$(printf 'next\302\205line')"
refused "$(printf 'latin\351')"
refused "$(printf '%01025d' 0)"
refused "$(printf '%01024d' 0 | tr 0 ' ')"
site_a isr ci vm

# Put there by another program: shown with question marks, and not on a terminal as it is.
tail -n 1 "$history" >last
awk -v OFS=' ' '{ $1++; $7 = "%1B%5B31mred%E2%80%AE%0Atwo%FF"; print }' last >>"$history"
site_b env LC_ALL=C.UTF-8 isr history vm >lines
tail -n 1 lines | grep -q '?\[31mred??two?' || fail "shown as $(tail -n 1 lines | od -c)"
[ "$(wc -l <lines)" -eq "$((count + 2))" ] || fail 'a comment has become a line'
grep -q 'müde – 再開 🙂' lines || fail 'readable text is not shown as it is'
site_b isr history vm | grep -q 'm??de' || fail 'a terminal that has only ASCII gets more'
