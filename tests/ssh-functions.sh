# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# shellcheck disable=SC2034 # variables are set for the tests
#
# A lock server behind a real sshd of this test's own: on a loopback port, with its own host key,
# keys and known_hosts, for the account that runs the test. Source functions.sh first.
#
# $ssh is the folder that clients use in place of ~/.ssh; $root is the lock server's. The user there
# is ann, by the forced command.

requires sshd openssh-server
requires ssh openssh-client
unset ISR_SSH SSH_AUTH_SOCK SSH_ORIGINAL_COMMAND
ssh=$tmp/ssh
root=$ISR_LOCKSRV
account=$(id -un)
ISR_USER=ann
export ISR_USER
listener=

# children PID: all that descend from it.
children() {
    for child in $(pgrep -P "$1"); do
        children "$child"
        printf '%s\n' "$child"
    done
}

# Also ends what the server was made to run and hang in ($tmp/hung: process ids), which is nobody's child
# any more.
stop_sshd() {
    [ -n "$listener" ] || return 0
    # shellcheck disable=SC2046 # several
    [ ! -e "$tmp/hung" ] || kill -s KILL $(cat "$tmp/hung") 2>/dev/null || :
    # shellcheck disable=SC2046 # several
    kill -s KILL $(children "$listener") "$listener" 2>/dev/null || :
    wait "$listener" 2>/dev/null || :
    listener=
}

end_ssh() {
    ended=$?
    set +e
    trap '' HUP INT TERM
    if [ "$ended" -ne 0 ] && [ "$ended" -ne 77 ]; then
        tail -n 40 "$tmp/sshd.log"
    fi
    stop_sshd
    (exit "$ended")
    clean_up
}
trap end_ssh EXIT

# What sshd needs as root in a bare system.
if [ "$(id -u)" -eq 0 ]; then
    mkdir -m 755 /run/sshd 2>/dev/null || [ -d /run/sshd ] || skip 'cannot make /run/sshd'
    case $(getent shadow root) in
    root:!*) skip 'the account of root is locked, and sshd lets nobody into it' ;;
    esac
fi

# The program and the commands as they lie when they are installed.
libexec=$tmp/libexec
mkdir "$libexec" "$ssh"
cp "$abs_top_builddir/lockclient/isr_shell" "$abs_top_srcdir/scripts/isr_admin" "$libexec/"
ln -s "$abs_top_srcdir/scripts/lockserver" "$libexec/lockserver"
ln -s "$abs_top_builddir/lockclient/isr-look" "$abs_top_builddir/lockclient/isr-keep" "$libexec/"

new_key() {
    ssh-keygen -q -t ed25519 -N '' -C test -f "$1"
}
new_key "$tmp/host_key"
new_key "$ssh/id_ed25519"

# let_in COMMAND [KEY]: the key may do this, and nothing else.
let_in() {
    printf 'restrict,command="%s" %s\n' "$1" "$(cat "${2-$ssh/id_ed25519.pub}")" \
        >"$tmp/authorized_keys"
}
let_in "$libexec/isr_shell --user ann --root $root"

# try_port: whether sshd could begin there.
try_port() {
    : >"$tmp/sshd.log"
    "$(command -v sshd)" -D -e -f "$tmp/sshd_config" -o Port="$port" 2>"$tmp/sshd.log" &
    listener=$!
    # It says one or the other, or ends.
    timeout 60 tail --pid="$listener" -s 0.05 -n +1 -f "$tmp/sshd.log" |
        grep -q -m 1 -e 'Server listening' -e 'Cannot bind' -e 'Bind to port' || :
    grep -q 'Server listening' "$tmp/sshd.log" && return
    stop_sshd
    return 1
}

# start_sshd: at the port that it had before, or else at one that is free.
start_sshd() {
    cat >"$tmp/sshd_config" <<END
ListenAddress 127.0.0.1
HostKey $tmp/host_key
AuthorizedKeysFile $tmp/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
AcceptEnv *
SetEnv HOME=$tmp/nowhere
MaxStartups 200
LogLevel VERBOSE
$(cat "$tmp/sshd_more" 2>/dev/null || :)
END
    if [ -n "${port-}" ]; then
        try_port || fail "sshd does not start again: $(cat "$tmp/sshd.log")"
        return
    fi
    # Below what the kernel gives to clients.
    for port in $(shuf -n 20 -i 10000-32000); do
        if try_port; then
            know_host
            use_ssh
            return
        fi
    done
    fail "sshd does not start: $(cat "$tmp/sshd.log")"
}

know_host() {
    printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d ' ' -f 1-2 "$tmp/host_key.pub")" \
        >"$ssh/known_hosts"
}

# use_ssh: from now on the sites a and b use this server.
use_ssh() {
    ISR_LOCKSRV=ssh://$account@127.0.0.1:$port
    set_up_site "$tmp/a"
    set_up_site "$tmp/b"
    cat >"$tmp/system-ssh" <<END
UserKnownHostsFile $ssh/known_hosts
GlobalKnownHostsFile /dev/null
IdentityFile $ssh/id_ed25519
IdentitiesOnly yes
StrictHostKeyChecking yes
END
    system_ssh="ssh -F $tmp/system-ssh"
}

# set_up_site FOLDER [SECONDS]
set_up_site() {
    mkdir -p "$1"
    printf 'SSH_DIR:=%s\n' "$ssh" >"$1/isr.conf"
    [ $# -lt 2 ] || printf 'SSH_TIMEOUT:=%s\n' "$2" >>"$1/isr.conf"
}

# alone COMMAND...: without a terminal, whatever the test itself has.
alone() {
    setsid -w "$@"
}

# remote WORD...: what the system's ssh gets for it, without a terminal. Sets status, out, err.
remote() {
    status=0
    # shellcheck disable=SC2086 # several words
    out=$(alone $system_ssh -T -p "$port" "$account@127.0.0.1" "$@" 2>"$tmp/err") || status=$?
    err=$(cat "$tmp/err")
}

# holder PARCEL: who holds the lock, by the server's own files.
holder() {
    sed -n 's/^SITE:=//p' "$root/ann/parcels/$1/holder" 2>/dev/null || :
}

# session_pids: the processes of sshd that serve connections.
session_pids() {
    children "$listener"
}
