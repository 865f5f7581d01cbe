#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A lock server whose host key is not known: without a terminal it is refused in one line, and
# nothing is sent; on one a person sees the key, and says yes once.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/ssh-functions.sh"
requires_terminal
start_sshd
print=$(ssh-keygen -l -f "$tmp/host_key.pub" | cut -d ' ' -f 2)
: >"$ssh/known_hosts"

fails 6 alone env ISR_HOME="$tmp/a" isr ls
in_one_line "\[127.0.0.1\]:$port is not known" "$print" 'no terminal'
[ ! -s "$ssh/known_hosts" ] || fail 'the key was kept without asking'
if grep -q 'Accepted' "$tmp/sshd.log"; then
    fail 'we logged in to a host that is not known'
fi

# at_terminal ANSWER: isr ls on a terminal of its own, where that is typed when it asks.
mkfifo typed
at_terminal() {
    : >shown
    timeout 60 script -q -e -f -c 'isr ls' /dev/null <typed >shown 2>&1 &
    asker=$!
    exec 3>typed
    wait_for_line shown 'not known yet'
    printf '%s\n' "$1" >&3
    exec 3>&-
    wait "$asker"
}
ISR_HOME=$tmp/a
export ISR_HOME
if at_terminal no; then
    fail 'it went on after a no'
fi
grep -q -e "$print" shown || fail "the key was not shown: $(cat shown)"
[ ! -s "$ssh/known_hosts" ] || fail 'the key was kept after a no'
printf '# a file without an end' >"$ssh/known_hosts"
at_terminal yes || fail "a yes was not enough: $(cat shown)"
ssh-keygen -F "[127.0.0.1]:$port" -f "$ssh/known_hosts" >/dev/null || fail 'the key was not kept'
alone isr ls || fail 'the key is not known afterwards'

# The names may be hashed, and a pattern.
ssh-keygen -q -H -f "$ssh/known_hosts" 2>/dev/null
alone isr ls || fail 'a hashed name is not found'
printf '[127.*]:*,!other %s\n' "$(cut -d ' ' -f 1-2 "$tmp/host_key.pub")" >"$ssh/known_hosts"
alone isr ls || fail 'a pattern is not matched'
printf '[127.*]:*,!*:%s %s\n' "$port" "$(cut -d ' ' -f 1-2 "$tmp/host_key.pub")" >"$ssh/known_hosts"
fails 6 alone isr ls
in_one_line 'is not known'
