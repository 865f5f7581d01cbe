#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The audit never grows beyond five files of a megabyte and a little; the chain of hashes goes on from
# one to the next, also when a kill came between.
# shellcheck source=tests/lock-functions.sh
. "${0%/*}/lock-functions.sh"

udir=$ISR_LOCKSRV_ROOT/ann
audit=$udir/audit
hash_of()
{
    hash=$(printf %s "$1" | sha256sum)
    hash=${hash%% *}
}
# joined: the first line of the audit names the last one of the file before.
joined()
{
    hash_of "$(tail -n 1 "$audit.1")"
    first=$(head -n 1 "$audit")
    [ "${first##* }" = "$hash" ]
}

create vm "$key_a"
expect 0
for round in 1 2 3 4 5 6; do
    # A long one, as it would have become; then it takes until a hash begins with a 0.
    seq -f "1700000000 ann filler vm line=%.0f-$round $hex32$hex32" 12000 >>"$audit"
    [ "$(wc -c <"$audit")" -gt 1048576 ] || fail 'not long enough'
    lines=0
    while [ "$(wc -c <"$audit")" -gt 1048576 ]; do
        lines=$((lines + 1))
        [ "$lines" -lt 400 ] || fail 'it is never put aside'
        lock isr_cat_keyroot ann vm </dev/null
        expect 0
    done
    joined || fail 'the chain is broken'
    grep -q "line=12000-$round " "$audit.1" || fail 'the file before is not the one that it was'
done
[ "$(find "$udir" -name 'audit*' | wc -l)" -eq 5 ] || fail "not five files: $(ls "$udir")"
grep -q 'line=1-3 ' "$audit.4" || fail 'the oldest is not the fourth'

# Killed when the file was put aside, and nothing written yet.
rm "$audit"
lock isr_cat_keyroot ann vm </dev/null
expect 0
[ "$(wc -l <"$audit")" -eq 1 ] || fail 'more than one line'
joined || fail 'the chain is broken after a kill'
