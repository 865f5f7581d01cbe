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
