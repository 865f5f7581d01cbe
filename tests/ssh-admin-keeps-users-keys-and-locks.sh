#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Whoever runs a lock server adds users and their keys with isr_admin, sees who holds which lock,
# breaks one with a reason that is recorded, and takes a user's keys away again.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/ssh-functions.sh"
mkdir -p "$root/.ssh"
printf '# mine\nssh-ed25519 AAAAnotours someone\n' >"$root/.ssh/authorized_keys"
start_sshd
sed -i "s|^AuthorizedKeysFile .*|AuthorizedKeysFile $root/.ssh/authorized_keys|" "$tmp/sshd_config"
stop_sshd
try_port || fail 'sshd does not start again'

admin() {
    "$libexec/isr_admin" "$root" "$@"
}
new_key "$tmp/bob_key"

fails 4 admin key-add ann "$ssh/id_ed25519.pub"
admin user-add ann
admin user-add bob
fails 1 admin user-add ann
fails 2 admin user-add ../ann
fails 6 alone env ISR_HOME="$tmp/a" isr ls
in_one_line 'none of our ssh keys'
print=$(admin key-add ann "$ssh/id_ed25519.pub")
[ "$(admin key-add ann "$ssh/id_ed25519.pub")" = "$print" ] || fail 'adding it twice is not the same'
fails 1 admin key-add bob "$ssh/id_ed25519.pub"
admin key-add bob - <"$tmp/bob_key.pub" >/dev/null
fails 2 admin key-add bob "$ssh/id_ed25519"
printf 'command="id" %s\n' "$(cat "$tmp/bob_key.pub")" >bad.pub
fails 2 admin key-add bob "$tmp/bad.pub"
printf '%s\n%s\n' "$(cat "$tmp/bob_key.pub")" "$(cat "$tmp/bob_key.pub")" >bad.pub
fails 2 admin key-add bob "$tmp/bad.pub"
printf 'ssh-ed25519 AAAA"; a\n' >bad.pub
fails 2 admin key-add bob "$tmp/bad.pub"
[ "$(grep -c '^restrict,command=' "$root/.ssh/authorized_keys")" -eq 2 ] || fail 'not two keys'
[ "$(head -n 2 "$root/.ssh/authorized_keys" | tail -n 1)" = 'ssh-ed25519 AAAAnotours someone' ] ||
    fail 'a line that is not ours has changed'
admin key-list | grep -q "^ann $print ssh-ed25519 test$" || fail "the key is not listed: $(admin key-list)"
[ "$(admin key-list bob | wc -l)" -eq 1 ] || fail 'the list for one user is wrong'

# The key's user is who comes in, whoever he says he is.
random_file disk.img 100000
new_parcel vm disk.img
fails 2 env ISR_USER=bob ISR_HOME="$tmp/a" isr ls
grep -q 'another user' "$said" || fail "it is not said why: $(cat "$said")"
site_a isr co vm
admin locks >locks
grep -q "^ann vm [^ ]*$tmp/a 20[^ ]*Z 20[^ ]*Z$" locks || fail "the lock is not shown: $(cat locks)"
admin usage | grep -q '^ann 1 1 [1-9][0-9]* [1-9][0-9]*$' || fail "usage: $(admin usage)"
admin usage | grep -q '^bob 0 0 0 0$' || fail "usage: $(admin usage)"
fails 1 admin user-remove ann

fails 2 admin break-lock ann vm
fails 2 admin break-lock ann vm --reason ''
fails 4 admin break-lock ann other --reason x
admin break-lock ann vm --reason 'its laptop fell into the sea; 100%' >/dev/null
tail -n 1 "$root/ann/audit" |
    grep -q 'break vm nonce=[0-9a-f-]* how=broken by=admin reason=its%20laptop%20fell%20into%20the%20sea%3B%20100%25 ' ||
    fail "the reason is not recorded: $(tail -n 1 "$root/ann/audit")"
fails 1 admin break-lock ann vm --reason again
fails 3 site_a isr ci vm

fails 4 admin key-remove bob "$print"
admin key-remove ann "$print"
fails 6 alone env ISR_HOME="$tmp/b" isr ls
admin key-add ann "$ssh/id_ed25519.pub" >/dev/null
site_b isr ls | grep -q vm || fail 'the key does not open again'
admin user-remove ann >removed
fails 6 alone env ISR_HOME="$tmp/b" isr ls
[ ! -e "$root/ann" ] || fail 'the user is still there'
[ -f "$(sed 's/^the records are in //' removed)/secret" ] || fail 'the records are lost'
[ "$(admin key-list | wc -l)" -eq 1 ] || fail 'the other key is lost'
