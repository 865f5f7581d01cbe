#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# At a terminal the recovery key is shown without being asked for more, and its words can be typed.
. "$abs_top_srcdir/tests/functions.sh"
requires_terminal

random_file disk.img 200000
new_parcel vm disk.img
script -q -e -c "env ISR_HOME='$tmp/a' isr recovery-key" /dev/null >shown </dev/null ||
    fail "not shown: $(cat shown)"
tr -d '\r' <shown | sed -n 's/^ *\([0-9]* [a-z]*\)  *\([0-9]* [a-z]*\) *$/\1\n\2/p' | sort -n |
    sed 's/^[0-9]* //' | tr '\n' ' ' >words
[ "$(wc -w <words)" -eq 14 ] || fail "no words: $(cat shown)"
rm -rf locksrv
# They are typed when they are asked for.
mkfifo keys
script -q -e -f -c "env ISR_HOME='$tmp/a' isr import --recover '$home' vm" typescript \
    <keys >/dev/null &
pid=$!
exec 3>keys
wait_for_line typescript 'words of the recovery key: '
printf '%s\r' "$(cat words)" >&3
status=0
wait "$pid" || status=$?
exec 3>&-
[ "$status" -eq 0 ] || fail "exit $status: $(cat typescript)"
grep -q 'is back as version 1' typescript || fail "$(cat typescript)"
site_a isr export vm disk.img back.img
same disk.img back.img
