#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Whatever a client with a valid key asks sshd for, the lock server runs its own commands for that
# key's user and nothing else: no shell, copy, forwarding, other user, or word of another form; and
# neither much input nor an environment does anything.
# shellcheck disable=SC2016 # what looks like an expansion must not be one
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/ssh-functions.sh"
start_sshd
site_a isr ls
random_file disk.img 100000
new_parcel vm disk.img
site_a isr co vm
nonce=$(sed -n 's/^NONCE:=//p' "$root/ann/parcels/vm/holder")
: >"$tmp/outside"
nl='
'

state() {
    (cd "$tmp" && find locksrv outside -type f ! -name seen -exec sha256sum {} + | sort -k 2)
}
# refused: the last remote or local was, in one clean line, and changed nothing.
refused() {
    [ "$status" -eq 2 ] || fail "status $status instead of 2 for: $*: $err"
    [ -z "$out" ] || fail "it answered: $*"
    [ "$(printf '%s\n' "$err" | wc -l)" -eq 1 ] || fail "not one line for: $*: $err"
    case $err in
    *[!\ -~]*) fail "not clean: $err" ;;
    esac
    [ "$(state)" = "$before" ] || fail "something has changed: $*"
    [ ! -e "$tmp/made" ] || fail "a word was run: $*"
}
before=$(state)

# request TEXT: what sshd hands over, byte for byte.
request() {
    status=0
    out=$(cd / && env -i SSH_ORIGINAL_COMMAND="$1" "$libexec/isr_shell" --user ann --root "$root" \
        2>"$tmp/err" </dev/null) || status=$?
    err=$(cat "$tmp/err")
    refused "$1"
}
long=$(printf '%065d' 0)
for text in '' ' ' isr_shell isr_functions ls sh -c './isr_cat_user ann' '/bin/sh -c id' \
    'scp -t /tmp' 'scp -f /etc/passwd' '/usr/lib/openssh/sftp-server' 'internal-sftp' \
    'rsync --server -vlogDtpre.iLsfxC . /tmp' 'git-upload-pack x' isr_cat_user 'isr_cat_user ann ' \
    ' isr_cat_user ann' 'isr_cat_user  ann' 'isr_cat_user ann vm' 'isr_cat_user "ann"' \
    "isr_cat_user 'ann'" 'isr_cat_user ann;touch '"$tmp"'/made' \
    'isr_cat_user $(touch '"$tmp"'/made)' 'isr_cat_user `id`' "isr_cat_user ann${nl}id" \
    "isr_cat_user ann$nl" 'isr_cat_user bob' 'isr_cat_user ../ann' 'isr_cat_user ann/../bob' \
    'isr_cat_user -h' 'isr_cat_user --help' 'isr_list_parcel bob' 'isr_list_parcel *' \
    'isr_list_parcel a?n' 'isr_list_parcel [a]nn' 'isr_cat_keyroot bob vm' \
    'isr_cat_keyroot ann ../bob/vm' 'isr_cat_keyroot ann .' 'isr_cat_keyroot ann ..' \
    'isr_cat_keyroot ann -rf' 'isr_cat_keyroot ann vm -1' 'isr_cat_keyroot ann vm 0' \
    'isr_cat_keyroot ann vm 01' 'isr_cat_keyroot ann vm 9999999999999999' \
    'isr_cat_keyroot ann vm 1 1' "isr_cat_keyroot ann v${nl}m" "isr_cat_keyroot ann $long" \
    'isr_acquire_lock ann vm x' "isr_acquire_lock ann vm $nonce x" "isr_publish ann vm $nonce keep" \
    "isr_publish ann vm $nonce release release" 'isr_break_lock ann vm lost' \
    'isr_break_lock ann vm release' 'isr_check_lock bob vm' 'isr_check_lock ann vm x' \
    "isr_rollback ann vm $nonce" "isr_rollback ann vm $nonce 0" "isr_rollback ann vm x 1" \
    "isr_rollback bob vm $nonce 1" "isr_rollback ann vm $nonce 1 keep" \
    'isr_clone_parcel ann vm new' 'isr_clone_parcel ann vm 1 ../new' \
    'isr_clone_parcel bob vm 1 new' 'isr_clone_parcel ann vm 0 new' 'isr_remove_parcel bob vm' \
    'isr_remove_parcel ann ..' 'isr_remove_parcel ann vm now' 'isr_prune_versions bob vm' \
    'isr_prune_versions ann vm 1' "isr_cat_user	ann" "isr_cat_user ann$(printf '\033[31m')" \
    'isr_cat_user änn' 'isr_cat_user ann %0a' 'ISR_CAT_USER ann' 'isr_cat_user ann\' \
    'isr_cat_user ann & id' 'isr_cat_user ann | id' 'isr_cat_user ann > /x' \
    "$(printf '%0100000d' 0)"; do
    request "$text"
done

# Names that mean something elsewhere are names like others.
for parcel in keys store parcels secret lock; do
    remote isr_cat_keyroot ann "$parcel"
    [ "$status" -eq 4 ] || fail "status $status for a parcel named $parcel: $err"
done

# Through sshd.
remote id
refused id
remote
refused 'a shell'
remote isr_cat_user ann ';' touch "$tmp/made"
refused 'two commands'
remote isr_cat_user bob
refused 'another user'
status=0
# shellcheck disable=SC2086 # several words
out=$(alone $system_ssh -tt -p "$port" "$account@127.0.0.1" isr_cat_user bob 2>"$tmp/err") || status=$?
[ "$status" -ne 0 ] && [ -z "$out" ] || fail "with a terminal: $status $out"
for copy in 'scp -O' scp sftp; do
    # shellcheck disable=SC2086 # several words
    if alone $copy -F "$tmp/system-ssh" -P "$port" "$account@127.0.0.1:/etc/passwd" "$tmp/made" \
        >/dev/null 2>&1 </dev/null || [ -e "$tmp/made" ]; then
        fail "$copy copies"
    fi
done
# shellcheck disable=SC2086 # several words
if alone $system_ssh -o ExitOnForwardFailure=yes -R "127.0.0.1:0:127.0.0.1:$port" -p "$port" \
    "$account@127.0.0.1" isr_list_parcel ann >/dev/null 2>&1; then
    fail 'a port is forwarded from there'
fi
# shellcheck disable=SC2086 # several words
if printf x | alone $system_ssh -W "127.0.0.1:$port" -p "$port" "$account@127.0.0.1" 2>/dev/null |
    grep -q SSH; then
    fail 'a port is forwarded to there'
fi
[ "$(state)" = "$before" ] || fail 'something has changed'

# A megabyte of arguments: more than ssh itself sends, so not from its command line.
head -c 1000000 /dev/zero | tr '\0' a >million
status=0
printf 'Host *\n RemoteCommand isr_cat_user %s\n' "$(head -c 200000 million)" >remote.conf
cat "$tmp/system-ssh" >>remote.conf
# shellcheck disable=SC2086 # several words
out=$(alone timeout 60 ssh -F remote.conf -T -p "$port" "$account@127.0.0.1" 2>/dev/null) || status=$?
[ "$status" -ne 0 ] && [ "$status" -ne 124 ] && [ -z "$out" ] || fail "200,000 bytes: $status"

# A gigabyte of input is cut off, where input is read and where it is not.
for words in "isr_acquire_lock ann vm $nonce" 'isr_list_parcel ann'; do
    status=0
    # shellcheck disable=SC2086 # several words
    head -c 1073741824 /dev/zero | alone timeout 60 $system_ssh -T -p "$port" \
        "$account@127.0.0.1" $words >/dev/null 2>"$tmp/err" || status=$?
    case $words,$status in
    *acquire*,2 | *list*,0) ;;
    *) fail "a gigabyte on standard input: $words gave $status" ;;
    esac
done

# An environment has no effect on the commands, though this sshd accepts all of it. (What the
# account's login shell makes of it, such as bash of BASH_ENV, is sshd's to prevent.)
status=0
mkdir "$tmp/evil"
printf '#!/bin/sh\ntouch %s/made\n' "$tmp" | tee "$tmp/evil/flock" "$tmp/evil/cat" >"$tmp/evil/sh"
chmod 700 "$tmp/evil"/*
# shellcheck disable=SC2086 # several words
out=$(alone env ISR_LOCKSRV_ROOT="$tmp/evil" IFS=a ENV="$tmp/evil/sh" \
    LC_ALL=C.UTF-8 user=bob root=/ ISR_USER=bob SSH_ORIGINAL_COMMAND='isr_cat_user bob' \
    $system_ssh -T -o SendEnv='ISR_* IFS ENV LC_* user root SSH_*' -p "$port" \
    "$account@127.0.0.1" isr_list_parcel ann 2>"$tmp/err") || status=$?
[ "$status" -eq 0 ] || fail "with an environment: $status: $(cat "$tmp/err")"
case $out in
'vm 1 '*) ;;
*) fail "with an environment: $out" ;;
esac
[ ! -e "$tmp/made" ] || fail 'the environment made something run'
[ "$(state)" = "$before" ] || fail "the environment did something: $(state) $before"
out=$(cd / && env -i PATH="$tmp/evil" ISR_LOCKSRV_ROOT="$tmp/evil" \
    SSH_ORIGINAL_COMMAND='isr_list_parcel ann' \
    "$libexec/isr_shell" --user ann --root "$root" </dev/null)
case $out in
'vm 1 '*) ;;
*) fail "with another PATH: $out" ;;
esac

# A comment that tries to be two lines.
hex=0123456789abcdef0123456789abcdef
publish() {
    status=0
    # shellcheck disable=SC2059,SC2086 # escapes; several words
    printf "BASE:=1\nKEYROOT:=$hex$hex$hex$hex\nSIZE:=1\nNEWBYTES:=1\nSITE:=x\nCONSISTENT:=yes\n$1" |
        alone $system_ssh -T -p "$port" "$account@127.0.0.1" isr_publish ann vm "$nonce" \
            >/dev/null 2>"$tmp/err" || status=$?
}
publish "COMMENT:=a\nKEYROOT:=$hex$hex$hex$hex\n"
[ "$status" -eq 2 ] || fail "a comment of two lines gave $status"
publish 'COMMENT:=a\\000b\n'
[ "$status" -eq 2 ] || fail "a comment with a backslash gave $status"
[ "$(state)" = "$before" ] || fail 'a comment did something'
publish "COMMENT:=a%%0aKEYROOT:=b\n"
[ "$status" -eq 2 ] || fail "a comment with := gave $status"
publish "COMMENT:=a%%0aKEYROOT%%3A%%3Db\n"
[ "$status" -eq 0 ] || fail "an encoded comment gave $status: $(cat "$tmp/err")"
[ "$(wc -l <"$root/ann/parcels/vm/versions")" -eq 2 ] || fail 'versions has too many lines'
site_b isr history vm >shown
if LC_ALL=C grep -q '[^ -~]' shown || grep -q '^KEYROOT' shown; then
    fail "the comment is shown raw: $(od -c shown)"
fi

# An account of one's own needs no forced command: the commands are found by their names.
mkdir "$tmp/bin"
ln -s "$libexec/isr_shell" "$tmp/bin/isr_list_parcel"
status=0
"$tmp/bin/isr_list_parcel" ann bob 2>"$tmp/err" || status=$?
[ "$status" -eq 2 ] || fail "too many words gave $status"
status=0
"$tmp/bin/isr_list_parcel" --root /tmp 2>"$tmp/err" || status=$?
[ "$status" -eq 2 ] || fail "an option gave $status"
