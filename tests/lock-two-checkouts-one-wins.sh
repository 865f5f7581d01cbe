#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Of twenty sites that check out a parcel at the same moment exactly one gets it, and the others are
# told who has it. Again and again.
# shellcheck source=tests/lock-functions.sh
. "${0%/*}/lock-functions.sh"

create vm "$key_a"
expect 0 VERSION:=1

for round in 1 2 3; do
    # The test holds the server's own lock until all have been started.
    exec 8>>"$ISR_LOCKSRV_ROOT/ann/lock"
    flock 8
    pids=
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        (
            exec 8>&-
            printf 'SITE:=site%s:/home/ann\n' "$i" |
                "$scripts/isr_acquire_lock" ann vm "$(nonce "$round$i")" \
                    >"$tmp/out.$i" 2>"$tmp/err.$i"
        ) &
        pids="$pids $!"
    done
    exec 8>&-
    won='' lost=0 i=0
    for pid in $pids; do
        i=$((i + 1))
        status=0
        wait "$pid" || status=$?
        case $status in
        0) won="$won$i " ;;
        3) lost=$((lost + 1)) ;;
        *) fail "site $i got status $status: $(cat "$tmp/err.$i")" ;;
        esac
    done
    winner=${won% }
    case $winner in
    '' | *' '*) fail "round $round: winners are '$won'" ;;
    esac
    [ "$lost" -eq 19 ] || fail "round $round: $lost lost"
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ "$i" -ne "$winner" ] || continue
        grep -qx "HOLDER_SITE:=site$winner:/home/ann" "$tmp/out.$i" ||
            fail "round $round: site $i was not told that site $winner has it"
        grep -q '^SESSION' "$tmp/out.$i" && fail "round $round: a loser got a session key"
    done
    lock isr_check_lock ann vm "$(nonce "$round$winner")" </dev/null
    expect 0 STATE:=held
    lock isr_release_lock ann vm "$(nonce "$round$winner")" </dev/null
    expect 0 RELEASED:=1
done
