#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# isr_rekey and isr_recover_parcel: killed before any step and said again, they are done once; only the
# holder rekeys, and what comes after finds the new uuid and secret.
# shellcheck source=tests/lock-functions.sh
. "${0%/*}/lock-functions.sh"

one=$(nonce 1)
two=$(nonce 2)

rekeyed()
{
    lock isr_cat_parcel_cfg ann vm </dev/null
    expect 0 "UUID:=$new_uuid" VERSION:=3 "STORE:=$hex32" SRC:=FILE:///srv/x%20y
    lock isr_cat_keyroot ann vm </dev/null
    expect 0 "KEYROOT:=$key_c" "SECRET:=$new_secret" VERSION:=3
    lock isr_cat_keyroot ann vm 2 </dev/null
    expect 4
    lock isr_history ann vm </dev/null
    [ "$(printf '%s\n' "$out" | wc -l)" -eq 1 ] || fail 'versions of before are there'
}

# Done once, by the holder only, from the current version only.
create vm "$key_a"
lock isr_cat_user ann </dev/null
old_secret=$(printf '%s\n' "$out" | sed -n 's/^SECRET:=//p')
rekey "$one" 1 "$key_c" release
expect 3 LOST:=1
acquire vm "$one"
expect 0
publish vm "$one" 1 "$key_b"
expect 0 VERSION:=2
rekey "$one" 1 "$key_c" release
expect 1 STALE:=1
rekey "$one" 0 "$key_c" release
expect 1 STALE:=1
cp -a "$ISR_LOCKSRV_ROOT" "$tmp/published"
rekey "$one" 2 "$key_c" release
expect 0 VERSION:=3
rekey "$one" 2 "$key_c" release
expect 0 VERSION:=3
rekey "$one" 2 "$key_a" release
expect 1 STALE:=1
rekeyed
# The user's other parcels have the user's secret.
create other "$key_a"
lock isr_cat_keyroot ann other </dev/null
expect 0 "SECRET:=$old_secret"
# It goes on, and the answer stays the same.
two=$(nonce 2 3)
acquire vm "$two"
expect 0 VERSION:=3
publish vm "$two" 3 "$key_b" release
expect 0 VERSION:=4
rekey "$one" 2 "$key_c" release
expect 0 VERSION:=3
lock isr_cat_keyroot ann vm </dev/null
expect 0 "KEYROOT:=$key_b" "SECRET:=$new_secret" VERSION:=4
lock isr_cat_parcel_cfg ann vm </dev/null
expect 0 "UUID:=$new_uuid" VERSION:=4

# Killed before each step that changes something on disk.
prepare_rekey() { cp -a "$tmp/published" "$ISR_LOCKSRV_ROOT"; }
do_rekey() { rekey "$one" 2 "$key_c" release; }
between_rekey() { :; }
end_rekey()
{
    expect 0 VERSION:=3
    rekeyed
    acquire vm "$(nonce 3 3)"
    expect 0 VERSION:=3
}
kill_everywhere rekey

words=$(printf '%032d' 5)
prepare_recover() { :; }
do_recover() { recover vm 9 "$words"; }
between_recover() { :; }
end_recover()
{
    expect 0 VERSION:=9
    lock isr_cat_parcel_cfg ann vm </dev/null
    expect 0 "UUID:=$hex32" VERSION:=9
    lock isr_cat_keyroot ann vm 9 </dev/null
    expect 0 "KEYROOT:=$key_a" "RECOVERY:=$words"
    acquire vm "$(nonce 3 9)"
    expect 0 VERSION:=9
}
kill_everywhere recover
# Who has a parcel has a recovery key, and keeps it.
recover second 4 "$(printf '%032d' 6)"
expect 0 VERSION:=4
lock isr_cat_user ann </dev/null
expect 0 "RECOVERY:=$words"
recover second 5
expect 1 EXISTS:=1
recover third 0
expect 2
recover third ''
expect 2
recover third 4 zz
expect 2
recover ../third 4
expect 2
