#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Each command may be said again, as a site does that did not hear the answer: it is done once, and
# the answer is the same, also after others have gone on.
# shellcheck source=tests/lock-functions.sh
. "${0%/*}/lock-functions.sh"

# again FUNCTION WORD...: twice the same.
again()
{
    "$@"
    expect 0
    before=$out
    "$@"
    expect 0
    [ "$out" = "$before" ] || fail "$1: answered '$before' first"
}

count_versions()
{
    lock isr_history ann vm </dev/null
    expect 0
    [ "$(printf '%s\n' "$out" | wc -l)" -eq "$1" ] || fail "there are not $1 versions"
}

one=$(nonce 1)
again lock isr_cat_user ann </dev/null
again create vm "$key_a"
create vm "$key_b"
expect 1 EXISTS:=1

again acquire vm "$one"
again lock isr_check_lock ann vm "$one"

# Two checkpoints, each said twice; then the first one once more.
again publish vm "$one" 1 "$key_b"
count_versions 2
again publish vm "$one" 2 "$key_c"
count_versions 3
publish vm "$one" 1 "$key_b"
expect 0 VERSION:=2
count_versions 3
# Another keyroot on the same base is no repeat.
publish vm "$one" 1 "$key_c"
expect 1 STALE:=1
count_versions 3
acquire vm "$one"
expect 0 VERSION:=3

# A checkpoint whose answer was lost becomes the check-in: the version is there, the lock goes back.
publish vm "$one" 3 "$key_a"
expect 0 VERSION:=4
again publish vm "$one" 3 "$key_a" release
expect 0 VERSION:=4
count_versions 4
lock isr_check_lock ann vm "$one" </dev/null
expect 0 STATE:=published VERSION:=4

# Others go on; the old answer stays.
two=$(nonce 2 4)
acquire vm "$two"
expect 0 VERSION:=4
publish vm "$two" 4 "$key_b" release
expect 0 VERSION:=5
three=$(nonce 3 5)
acquire vm "$three"
expect 0 VERSION:=5
publish vm "$one" 3 "$key_a" release
expect 0 VERSION:=4
lock isr_check_lock ann vm "$three" </dev/null
expect 0 STATE:=held
count_versions 5

# A publish whose base is not the current version is refused, from the holder too.
publish vm "$three" 4 "$key_c"
expect 1 STALE:=1
count_versions 5

again lock isr_release_lock ann vm "$three"
lock isr_check_lock ann vm "$three" </dev/null
expect 0 STATE:=released
create vm "$key_a"
expect 0 VERSION:=1

# What was given back is not taken again, and a base that others have left behind is said to be so.
acquire vm "$three"
expect 3 LOST:=1
acquire vm "$(nonce 4 4)"
expect 1 STALE:=1

# What people do with whole versions: the parcel has the versions 1 to 5 by now.
five=$(nonce 5 5)
acquire vm "$five"
expect 0
publish vm "$five" 5 "$key_d"
expect 0 VERSION:=6
again rollback vm "$five" 2 6 "$id_b"
expect 0 VERSION:=7
count_versions 7
lock isr_cat_keyroot ann vm </dev/null
expect 0 "KEYROOT:=$key_b"
rollback vm "$five" 6 6 "$id_d"
expect 1 STALE:=1
rollback vm "$five" 6 7 "$id_a"
expect 1 STALE:=1
rollback vm "$five" 9 7 "$id_a"
expect 4
rollback vm "$(nonce 6 5)" 2 7 "$id_b"
expect 3 LOST:=1

# Not what a check-out works from or may still work from; the rest as often as one likes.
prune vm 7
expect 1
prune vm 1,6
expect 3 HOLDER_USER:=ann
count_versions 7
again prune vm 3,1
count_versions 5
prune vm 3,4
expect 0
count_versions 4
prune vm 5 "$uuid2"
expect 4
count_versions 4
remove vm
expect 3 HOLDER_SITE:=here:/home/ann
lock isr_check_lock ann vm </dev/null
expect 0 HOLDER:=00000000 HOLDER_SITE:=here:/home/ann NEEDED:=6
rollback vm "$five" 6 7 "$id_d" release
expect 0 VERSION:=8
lock isr_check_lock ann vm </dev/null
expect 0 HELD:=no
prune vm 2,5,6,7
expect 0
count_versions 1
# What this nonce did is still known when the version is not.
six=$(nonce 0 8)
acquire vm "$six"
expect 0 VERSION:=8
publish vm "$six" 8 "$key_b" release
expect 0 VERSION:=9
seven=$(nonce 7 9)
acquire vm "$seven"
expect 0
publish vm "$seven" 9 "$key_a" release
expect 0 VERSION:=10
prune vm 8,9
expect 0
publish vm "$six" 8 "$key_b" release
expect 0 VERSION:=9
create vm "$key_a"
expect 0 VERSION:=1

again clone vm 10 copy "$id_a"
clone vm 10 copy "$id_a" "$hex32"
expect 1 EXISTS:=1
clone vm 9 other "$id_b" 11111111111111111111111111111111
expect 4
clone vm 10 other "$id_d" 11111111111111111111111111111111
expect 1 STALE:=1
remove copy
expect 4
again remove vm
clone vm 10 copy "$id_a"
expect 0 VERSION:=1
remove vm "$uuid2"
expect 4
create vm "$key_d"
expect 0 VERSION:=1
# The one with this uuid, although such a one was removed before.
remove vm
expect 0
lock isr_list_parcel ann </dev/null
case $out in
'copy '*) ;;
*) fail 'not removed, or another was' ;;
esac

# A lock that was shown is broken once, whoever has it by then.
later=1700000000-1-1-9${hex32#?}
acquire copy "$(nonce 0)"
expect 0
break_it copy 00000001
expect 1 STALE:=1
break_it copy 00000000
expect 0 "BROKEN:=$(nonce 0)" HOLDER_USER:=ann
acquire copy "$later"
expect 0
break_it copy 00000000
expect 0 "BROKEN:=$(nonce 0)" BEFORE:=1
lock isr_check_lock ann copy "$later" </dev/null
expect 0 STATE:=held
break_it copy 00000000 stolen
expect 0 "BROKEN:=$(nonce 0)" BEFORE:=1
lock isr_check_lock ann copy "$(nonce 0)" </dev/null
expect 0 STATE:=broken
case $out in
*SESSION*) fail 'a stolen site got its session key' ;;
esac
