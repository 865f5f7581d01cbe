#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A lock server that shows another host key than the one in known_hosts is refused, with the file
# and the line, also at a terminal; so is one whose key is marked as revoked.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/ssh-functions.sh"
requires_terminal
start_sshd
ISR_HOME=$tmp/a
export ISR_HOME
new_key "$tmp/other_key"
other=$(cut -d ' ' -f 1-2 "$tmp/other_key.pub")
same=$(cut -d ' ' -f 1-2 "$tmp/host_key.pub")
name="[127.0.0.1]:$port"

printf '# mine\nelsewhere %s\n%s %s\n' "$same" "$name" "$other" >"$ssh/known_hosts"
fails 6 alone isr ls
in_one_line CHANGED "$ssh/known_hosts line 3"
if echo yes | timeout 60 script -q -e -c "isr ls" "$tmp/typescript" >"$tmp/shown" 2>&1; then
    fail 'it was accepted at a terminal'
fi
grep -q CHANGED "$tmp/shown" || fail "it is not said at a terminal: $(cat "$tmp/shown")"
ssh-keygen -q -H -f "$ssh/known_hosts" 2>/dev/null
fails 6 alone isr ls
in_one_line CHANGED 'line 3'

# A key of another type is another key.
ssh-keygen -q -t ecdsa -N '' -f "$tmp/ecdsa_key"
printf '%s %s\n' "$name" "$(cut -d ' ' -f 1-2 "$tmp/ecdsa_key.pub")" >"$ssh/known_hosts"
fails 6 alone isr ls
in_one_line CHANGED 'line 1'

printf '%s %s\n@revoked * %s\n' "$name" "$same" "$same" >"$ssh/known_hosts"
fails 6 alone isr ls
in_one_line revoked
if grep -q 'Accepted' "$tmp/sshd.log"; then
    fail 'we logged in nevertheless'
fi

# Several keys, of which one is right.
printf '%s %s\n%s %s\n' "$name" "$other" "$name" "$same" >"$ssh/known_hosts"
alone isr ls || fail 'the right key among others is refused'
