#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# ssh's own settings count: an alias with HostName, Port, User and IdentityFile, a jump host, keys in
# an agent. A key's passphrase is asked for at a terminal only, and never seen in a process.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/ssh-functions.sh"
requires_terminal
start_sshd
ISR_HOME=$tmp/a
export ISR_HOME
plain=$ISR_LOCKSRV

mv "$ssh/id_ed25519" "$tmp/elsewhere"
mv "$ssh/id_ed25519.pub" "$tmp/elsewhere.pub"
fails 6 alone isr ls
in_one_line 'none of our ssh keys'
cat >"$ssh/config" <<END
Host lockhost
    HostName 127.0.0.1
    Port $port
    User $account
    IdentityFile $tmp/elsewhere
Host *
    Port 1
    User nobody
END
ISR_LOCKSRV=ssh://lockhost
alone isr ls || fail 'the alias is not followed'
# What the location says goes before the settings.
printf 'IdentityFile %s\nPort 1\nUser nobody\n' "$tmp/elsewhere" >"$ssh/config"
ISR_LOCKSRV=$plain
alone isr ls || fail 'the settings have overridden the location'

# Through another host; here it is the same one, which then must allow forwarding.
printf 'Host 127.0.0.1\n ProxyCommand ssh -F %s -p %s -W [%%h]:%%p %s@127.0.0.1\n' \
    "$tmp/system-ssh" "$port" "$account" >"$ssh/config"
printf 'IdentityFile %s\n' "$tmp/elsewhere" >>"$ssh/config"
sed -i "s|^IdentityFile .*|IdentityFile $tmp/elsewhere|" "$tmp/system-ssh"
printf 'restrict,port-forwarding,command="%s" %s\n' "$libexec/isr_shell --user ann --root $root" \
    "$(cat "$tmp/elsewhere.pub")" >"$tmp/authorized_keys"
alone isr ls || fail 'the proxy is not used'
printf 'Host 127.0.0.1\n ProxyCommand exit 1\n' >"$ssh/config"
fails 6 alone isr ls
[ -z "$(pgrep -f "$tmp/system-ssh" || :)" ] || fail 'the proxy was left behind'
rm "$ssh/config"

# An agent, and one that does not answer.
eval "$(ssh-agent -s -a "$tmp/agent")" >/dev/null
export SSH_AUTH_SOCK
ssh-add -q "$tmp/elsewhere"
alone isr ls || fail 'the key in the agent is not used'
mv "$tmp/elsewhere" "$ssh/id_ed25519"
mv "$tmp/elsewhere.pub" "$ssh/id_ed25519.pub"
kill -s STOP "$SSH_AGENT_PID"
timeout 30 setsid -w isr ls || fail 'an agent that hangs stops us'
kill -s CONT "$SSH_AGENT_PID"
kill "$SSH_AGENT_PID"
unset SSH_AUTH_SOCK

# A passphrase.
ssh-keygen -q -p -P '' -N 'correct horse' -f "$ssh/id_ed25519"
fails 6 alone isr ls
in_one_line 'needs a passphrase' 'no terminal'
mkfifo typed
timeout 60 script -q -e -f -c 'isr ls; echo status $?' /dev/null <typed >shown 2>&1 &
asker=$!
exec 3>typed
# Its prompt has no end of line, so what is waited for is that it waits too.
until grep -q Passphrase shown 2>/dev/null; do
    state=$(sed -n 's/^State:[[:space:]]*//p' "/proc/$asker/status" 2>/dev/null) || state=
    case $state in
    '' | Z*) fail "it did not ask: $(cat shown)" ;;
    esac
done
printf 'correct horsf\177e\n' >&3
exec 3>&-
wait "$asker" || fail "the passphrase did not open the key: $(cat shown)"
grep -q 'status 0' shown || fail "the passphrase did not open the key: $(cat shown)"
if grep -q horse shown; then
    fail 'the passphrase was shown'
fi
