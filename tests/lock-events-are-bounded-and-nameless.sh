#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What clients measured is kept for whoever runs the lock server: words and numbers, no text, and no
# more than a fixed amount of it. A damaged parcel hides no other from the list.
# shellcheck source=tests/lock-functions.sh
. "${0%/*}/lock-functions.sh"

udir=$ISR_LOCKSRV_ROOT/ann
# event TEXT: a message with these lines.
event()
{
    printf '%s\n' "$1" >"$tmp/message"
    lock isr_put_event ann <"$tmp/message"
}

event EVENT:=checkin
expect 4
create vm "$key_a"
event "EVENT:=checkin${nl}DATA:=ms=1500,bytes=123456"
expect 0 RECORDED:=1
event EVENT:=start
expect 0 RECORDED:=1
[ "$(cut -d ' ' -f 2- "$udir/events")" = "checkin ms=1500,bytes=123456${nl}start -" ] ||
    fail "not what was sent: $(cat "$udir/events")"
for bad in EVENT:= EVENT:=Ann DATA:=ms=1 "EVENT:=a b" 'EVENT:=../x' \
    "EVENT:=x${nl}DATA:=file=ann" "EVENT:=x${nl}DATA:=ms=1,,b=2" "EVENT:=x${nl}DATA:=ms=1," \
    "EVENT:=x${nl}DATA:=Ann=1" "EVENT:=x${nl}DATA:=ms=-1" "EVENT:=x${nl}DATA:=ms" \
    "EVENT:=x${nl}NAME:=ann" "EVENT:=x${nl}DATA:=a=1%0a" "EVENT:=x${nl}DATA:=$hex32=1$hex32$hex32"; do
    event "$bad"
    expect 2
done
[ "$(wc -l <"$udir/events")" -eq 2 ] || fail 'something bad was kept'
for round in 1 2 3 4 5 6; do
    seq -f "1700000000 filler number=%.0f" 10000 >>"$udir/events"
    event EVENT:=start
    expect 0
    [ "$(wc -l <"$udir/events")" -eq 1 ] || fail 'it was not put aside'
done
[ "$(find "$udir" -name 'events*' | wc -l)" -eq 5 ] || fail 'not five files'

create b "$key_a"
create vm2 "$key_a"
: >"$udir/parcels/vm/versions"
lock isr_list_parcel ann </dev/null
expect 1
case $out in
'b 1 '*' - 1000'"$nl"'vm2 1 '*' - 1000') ;;
*) fail 'a damaged parcel hides others' ;;
esac
