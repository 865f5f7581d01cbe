#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Whose ssh key needs a passphrase is told at check-out that a later check-in may need it again:
# unmounting cannot ask, keeps all and says so, and isr ci at a terminal asks. With an agent nothing
# of this is said.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
. "$abs_top_srcdir/tests/ssh-functions.sh"
requires_terminal
start_sshd

random_file disk.img 300000
new_parcel vm disk.img
ssh-keygen -q -p -P '' -N 'correct horse' -f "$ssh/id_ed25519"
mkfifo typed

# at_terminal COMMAND: on a terminal of its own, where the passphrase is typed when it asks. What is
# shown is in `shown`.
at_terminal() {
    : >shown
    ISR_HOME=$tmp/a timeout 120 script -q -e -f -c "$1" /dev/null <typed >shown 2>&1 &
    asker=$!
    exec 3>typed
    # The prompt has no end of line.
    until grep -q Passphrase shown; do
        kill -s 0 "$asker" 2>/dev/null || fail "it did not ask: $(cat shown)"
    done
    printf 'correct horse\n' >&3
    exec 3>&-
    wait "$asker" || fail "$1: $(cat shown)"
    if grep -q horse shown; then
        fail 'the passphrase was shown'
    fi
}

at_terminal 'isrfs vm m'
grep -q 'vm: logging in .*passphrase.*isr ci vm will have to' shown ||
    fail "it is not announced: $(cat shown)"
random_file work 100000
cp work m/
# shellcheck disable=SC2046 # several
kill -s KILL $(session_pids)
fails 6 alone env ISR_HOME="$tmp/a" isr umount m
says 'passphrase'
[ -n "$(holder vm)" ] || fail 'the lock is gone'
at_terminal 'isr ci vm'
if grep -q 'logging in' shown; then
    fail 'it is announced at the check-in'
fi
[ -z "$(holder vm)" ] || fail 'it was not checked in'

eval "$(ssh-agent -s -a "$tmp/agent")" >/dev/null
export SSH_AUTH_SOCK
printf '#!/bin/sh\necho correct horse\n' >askpass
chmod +x askpass
SSH_ASKPASS=$tmp/askpass SSH_ASKPASS_REQUIRE=force ssh-add -q "$ssh/id_ed25519" 2>/dev/null
alone env ISR_HOME="$tmp/b" isrfs vm n >shown 2>&1 || fail "the agent is not used: $(cat shown)"
[ ! -s shown ] || fail "something is said: $(cat shown)"
same work n/work
umount_at site_b n
kill "$SSH_AGENT_PID"
