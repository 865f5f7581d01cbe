#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A site whose lock was broken is told so and can change nothing more, whatever it says; it keeps
# its session key unless it was stolen.
# shellcheck source=tests/lock-functions.sh
. "${0%/*}/lock-functions.sh"

create vm "$key_a"
one=$(nonce 1)
acquire vm "$one" lost:/home/ann
expect 0
session=$(printf '%s\n' "$out" | grep '^SESSION:=')
publish vm "$one" 1 "$key_b"
expect 0 VERSION:=2

lock isr_break_lock ann vm </dev/null
expect 0 "BROKEN:=$one" HOLDER_USER:=ann HOLDER_SITE:=lost:/home/ann
lock isr_break_lock ann vm </dev/null
expect 0 HELD:=no

refused()
{
    publish vm "$one" 2 "$key_c"
    expect 3 LOST:=1
    publish vm "$one" 2 "$key_c" release
    expect 3 LOST:=1
    acquire vm "$one"
    expect 3 LOST:=1
    lock isr_release_lock ann vm "$one" </dev/null
    expect 3 LOST:=1
    publish vm "$one" 2 "$key_c"
    expect 3 LOST:=1
    lock isr_cat_parcel_cfg ann vm </dev/null
    expect 0 "VERSION:=$1"
}
refused 2
# Said once more, what it did publish is still so.
publish vm "$one" 1 "$key_b"
expect 0 VERSION:=2
lock isr_check_lock ann vm "$one" </dev/null
expect 0 STATE:=broken "$session"

# Neither while another site has the lock, nor after.
two=$(nonce 2 2)
acquire vm "$two"
expect 0
refused 2
publish vm "$two" 2 "$key_a" release
expect 0 VERSION:=3
refused 3

# Found to be stolen later.
lock isr_break_lock ann vm stolen </dev/null
expect 0 HELD:=no "WITHHELD:=$one"
lock isr_check_lock ann vm "$one" </dev/null
expect 0 STATE:=broken
case $out in
*SESSION*) fail 'a stolen site got its session key' ;;
esac
refused 3

# Stolen from the start.
three=$(nonce 3 3)
acquire vm "$three"
expect 0
lock isr_break_lock ann vm stolen </dev/null
expect 0 "BROKEN:=$three"
lock isr_check_lock ann vm "$three" </dev/null
expect 0 STATE:=broken
case $out in
*SESSION*) fail 'a stolen site got its session key' ;;
esac

# A new epoch, as after a backup was restored, breaks every lock.
four=$(nonce 4 3)
acquire vm "$four"
expect 0
printf '2\n' >"$ISR_LOCKSRV_ROOT/ann/epoch"
publish vm "$four" 3 "$key_b"
expect 3 LOST:=1
lock isr_check_lock ann vm "$four" </dev/null
expect 0 STATE:=broken
lock isr_check_lock ann vm "$(nonce 5 3)" </dev/null
expect 0 STATE:=broken
acquire vm "$(nonce 6 3 1)"
expect 1 STALE:=1
acquire vm "$(nonce 7 3 2)"
expect 0 VERSION:=3
