#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Each command may be killed before any step that changes something on disk, and said again: the end
# is the same as without the kill, also if another site came in between.
# shellcheck source=tests/lock-functions.sh
. "${0%/*}/lock-functions.sh"
# shellcheck source=tests/lock-scenarios.sh
. "${0%/*}/lock-scenarios.sh"

for name in user create acquire checkpoint checkin handover release break rollback rolledprune \
    clone remove prune breakone; do
    kill_everywhere "$name"
done

# The shell alone is killed, and the program that makes the change goes on later: nobody gets the lock
# until then, or the change would come too late.
kill_shell_everywhere()
{
    rm -rf "$tmp/start" "$tmp/root"
    ISR_LOCKSRV_ROOT=$tmp/start
    "prepare_$1"
    ISR_LOCKSRV_ROOT=$tmp/root
    mkfifo "$tmp/fifo"
    step=1
    while :; do
        rm -rf "$tmp/root"
        cp -a "$tmp/start" "$tmp/root"
        echo "$step" >"$tmp/left"
        scripts=$tmp/killed
        ISR_KEEP_WAITS=$tmp/fifo
        export ISR_KEEP_WAITS
        "do_$1" 2>/dev/null
        unset ISR_KEEP_WAITS
        scripts=$whole
        [ "$status" -ne 0 ] || break
        [ "$status" -eq 137 ] || fail "$1, killed at step $step: status $status"
        if flock -n "$tmp/root/ann/lock" true; then
            fail "$1, killed at step $step: the lock is free before the change is made"
        fi
        : >"$tmp/fifo"
        "do_$1"
        "end_$1"
        step=$((step + 1))
    done
    rm "$tmp/fifo"
    [ "$step" -gt 3 ] || fail "$1: only $step steps"
    printf '%s: the shell killed at each of %s steps\n' "$1" "$((step - 1))"
}
for name in acquire release; do
    kill_shell_everywhere "$name"
done

# Whoever writes the new content is killed in the middle: nothing is changed.
ISR_LOCKSRV_ROOT=$tmp/cut
create vm "$key_a"
udir=$ISR_LOCKSRV_ROOT/ann
cp -a "$udir" "$tmp/before"
text="1700000000 ann put vm${nl}first${nl}second${nl}end$nl"
while [ -n "$text" ]; do
    text=${text%?}
    for how in put append; do
        if printf %s "$text" | "${scripts%/*}/isr-keep" "$how" 1000 "$udir/audit" \
            "$udir/parcels/vm/versions" >"$tmp/err"; then
            fail "$how with half of the content"
        fi
    done
done
diff -r "$udir" "$tmp/before" || fail 'half of a change was made'
