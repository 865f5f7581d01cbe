#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Whatever a lock server answers over ssh, isr ends with one clean line: endless lines, binary,
# sequences that drive terminals, keys of a wrong length, missing keys.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/ssh-functions.sh"
start_sshd
ISR_HOME=$tmp/a
export ISR_HOME

# liar TEXT: the server runs this shell script for each command.
liar() {
    printf '#!/bin/sh\n%s\n' "$1" >"$tmp/liar"
    chmod 700 "$tmp/liar"
    let_in "$tmp/liar"
}

# clean: what was said is one line of printable characters.
clean() {
    [ "$(wc -l <"$said")" -eq 1 ] || fail "more than one line: $(od -c "$said" | head)"
    if LC_ALL=C grep -q '[^ -~]' "$said"; then
        fail "it is not clean: $(od -c "$said" | head)"
    fi
}

# refused STATUS COMMAND...
refused() {
    for ISR_SSH in '' "$system_ssh"; do
        export ISR_SSH
        fails "$1" alone timeout 100 isr "$2" ${3+"$3"}
        clean
        if LC_ALL=C grep -q '[^ -~]' "$tmp/stdout"; then
            fail "isr $2 shows: $(od -c "$tmp/stdout" | head)"
        fi
    done
}

esc=$(printf '\033')
liar 'exec yes SECRET:=00'
refused 1 ls
in_one_line 'too long'
refused 1 history vm
liar 'exec cat /dev/zero'
refused 1 ls
liar 'exec tr -d "\n" </dev/urandom'
refused 1 ls
liar 'exec yes >&2'
set_up_site "$tmp/a" 3
refused 6 ls
set_up_site "$tmp/a"
liar 'head -c 20000 /dev/urandom'
refused 1 ls
liar 'head -c 20000 /dev/urandom >&2; exit 1'
refused 1 ls
liar "printf 'x${esc}[2J${esc}]0;title\\007 1 1 - 1\\n'"
refused 1 ls
liar "printf 'vm 1 1 ann@${esc}[31mhost 1\\n'"
ISR_SSH='' isr ls >listed 2>&1 || :
if LC_ALL=C grep -q '[^ -~]' listed; then
    fail "a name is shown raw: $(od -c listed)"
fi
liar "printf 'isr_list_parcel: ${esc}[31mred\\r\\nsecond\\n' >&2; exit 1"
refused 1 ls
liar 'exit 3'
refused 1 co vm
liar 'exit 99'
refused 6 ls
liar 'exit 0'
refused 1 co vm

# All is right but the keyroot: its length, its digits, its version, and that it is there at all.
let_in "$libexec/isr_shell --user ann --root $root"
unset ISR_SSH
random_file disk.img 100000
new_parcel vm disk.img
hex=0123456789abcdef0123456789abcdef
keyroot() {
    liar "case \$SSH_ORIGINAL_COMMAND in
*cat_keyroot*) printf '$1' ;;
*) exec $libexec/isr_shell --user ann --root $root ;;
esac"
    refused 1 verify vm
    in_one_line malformed
}
keyroot "KEYROOT:=$hex\nSECRET:=$hex$hex\nVERSION:=1\n"
keyroot "KEYROOT:=$hex$hex$hex${hex}00\nSECRET:=$hex$hex\nVERSION:=1\n"
keyroot "KEYROOT:=$hex$hex$hex${hex%?}g\nSECRET:=$hex$hex\nVERSION:=1\n"
keyroot "KEYROOT:=$hex$hex$hex$hex\nSECRET:=$hex$hex\nVERSION:=0\n"
keyroot "SECRET:=$hex$hex\nVERSION:=1\n"
keyroot "KEYROOT:=$hex$hex$hex$hex\nKEYROOT:=$hex$hex$hex$hex\nSECRET:=$hex$hex\nVERSION:=1\n"
