#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Twenty sites check the same parcel out over ssh at the same moment: one gets it, and the others
# are told who has it.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/ssh-functions.sh"
start_sshd

random_file disk.img 300000
new_parcel vm disk.img
for i in $(seq 20); do
    set_up_site "$tmp/site$i" 120
    (
        status=0
        ISR_HOME=$tmp/site$i isr co vm >/dev/null 2>"$tmp/said$i" || status=$?
        printf '%s\n' "$status" >"$tmp/status$i"
    ) &
    pids="${pids-} $!"
done
# shellcheck disable=SC2086 # several
wait $pids
won=0
for i in $(seq 20); do
    case $(cat "$tmp/status$i") in
    0)
        won=$((won + 1))
        winner=$i
        ;;
    3) grep -q 'out by ann' "$tmp/said$i" || fail "site $i is not told: $(cat "$tmp/said$i")" ;;
    *) fail "site $i: status $(cat "$tmp/status$i"): $(cat "$tmp/said$i")" ;;
    esac
done
[ "$won" -eq 1 ] || fail "$won of twenty have the lock"
case $(holder vm) in
*"/site$winner") ;;
*) fail "the lock server thinks that $(holder vm) has it, not site $winner" ;;
esac
ISR_HOME=$tmp/site$winner isr ci vm || fail 'the winner cannot check in'
[ -z "$(holder vm)" ] || fail 'the lock was not given back'
