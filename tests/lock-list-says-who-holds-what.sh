#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The list has a line for each parcel, by name, with who holds it; what a killed command or a restored
# backup has left is put right on the way, and a parcel that is damaged hides no other.
# shellcheck source=tests/lock-functions.sh
. "${0%/*}/lock-functions.sh"

parcels=$ISR_LOCKSRV_ROOT/ann/parcels
lock isr_cat_user ann </dev/null
lock isr_list_parcel ann </dev/null
expect 0
[ -z "$out" ] || fail 'a list of nothing'
for name in z.9 Held a-free ended older published; do
    create "$name" "$key_a"
    expect 0
done
mkdir "$parcels/.new" "$parcels/no-parcel"
: >"$parcels/file"

# expect_list LINE...: but for the times.
expect_list()
{
    lock isr_list_parcel ann </dev/null
    expect "$1"
    shift
    [ "$(printf '%s\n' "$out" | cut -d ' ' -f 1,2,4-)" = "$(printf '%s\n' "$@")" ] ||
        fail "the list is not $*"
}
expect_list 0 'Held 1 - 1000' 'a-free 1 - 1000' 'ended 1 - 1000' 'older 1 - 1000' \
    'published 1 - 1000' 'z.9 1 - 1000'
acquire Held "$(nonce 1)" host.example:/home/ann
acquire z.9 "$(nonce 2)"
expect_list 0 'Held 1 ann@host.example 1000' 'a-free 1 - 1000' 'ended 1 - 1000' 'older 1 - 1000' \
    'published 1 - 1000' 'z.9 1 ann@here 1000'

# Killed before it was removed: the file holder of a nonce that was released, or has published with
# release. And one of the epoch before.
acquire ended "$(nonce 3)"
cp "$parcels/ended/holder" "$tmp/holder"
lock isr_release_lock ann ended "$(nonce 3)" </dev/null
mv "$tmp/holder" "$parcels/ended/holder"
acquire published "$(nonce 4)"
cp "$parcels/published/holder" "$parcels/published/nonces" "$tmp"
publish published "$(nonce 4)" 1 "$key_b" release
mv "$tmp/holder" "$tmp/nonces" "$parcels/published"
sed 's/-1-1-/-1-0-/' "$parcels/Held/holder" >"$parcels/older/holder"
for turn in 1 2; do
    expect_list 0 'Held 1 ann@host.example 1000' 'a-free 1 - 1000' 'ended 1 - 1000' \
        'older 1 - 1000' 'published 2 - 1000' 'z.9 1 ann@here 1000'
    [ "$(cat "$parcels"/*/holder | grep -c NONCE)" -eq 2 ] || fail "not put right in turn $turn"
done
lock isr_check_lock ann published "$(nonce 4)" </dev/null
expect 0 STATE:=published VERSION:=2

echo 'no version' >"$parcels/ended/versions"
expect_list 1 'Held 1 ann@host.example 1000' 'a-free 1 - 1000' 'older 1 - 1000' \
    'published 2 - 1000' 'z.9 1 ann@here 1000'
