# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# shellcheck disable=SC2034 # variables are set for the tests
# A lock server in a folder of its own, for the tests of its commands.

set -u
scripts=$abs_top_builddir/libexec/lockserver
tmp=$(mktemp -d) || exit 1
trap 'rm -rf -- "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
ISR_LOCKSRV_ROOT=$tmp/root
export ISR_LOCKSRV_ROOT

nl='
'
hex32=0123456789abcdef0123456789abcdef
key_a=$hex32$hex32$hex32$hex32
key_b=fedcba9876543210fedcba9876543210$hex32$hex32$hex32
key_c=00000000000000000000000000000000$hex32$hex32$hex32

fail()
{
    printf 'FAILED: %s\n' "$1" >&2
    [ -z "${out-}${err-}" ] || printf 'stdout: %s\nstderr: %s\n' "$out" "$err" >&2
    exit 1
}

# lock COMMAND WORD...: runs it with this test's standard input; sets status, out and err.
lock()
{
    command=$1
    shift
    status=0
    out=$("$scripts/$command" "$@" 2>"$tmp/err") || status=$?
    err=$(cat "$tmp/err")
}

# expect STATUS [LINE...]: of the last command; standard output has these lines, and standard error
# is one line, or none if the status is 0.
expect()
{
    [ "$status" -eq "$1" ] || fail "$command: status $status instead of $1"
    lines=$(wc -l <"$tmp/err")
    case $status in
    0) [ "$lines" -eq 0 ] || fail "$command: done, but wrote to standard error" ;;
    *) [ "$lines" -eq 1 ] || fail "$command: $lines lines on standard error instead of one" ;;
    esac
    shift
    for line; do
        case $nl$out$nl in
        *"$nl$line$nl"*) ;;
        *) fail "$command: did not say $line" ;;
        esac
    done
}

# nonce NUMBER [BASE [EPOCH]]: one of its own for each number
nonce()
{
    printf '1700000000-%s-%s-%032x' "${2-1}" "${3-1}" "$1"
}

create()
{
    lock isr_create_parcel ann "$1" <<EOF
UUID:=$hex32
SRC:=FILE:///srv/x%20y
STORE:=$hex32
KEYROOT:=$2
SIZE:=1000
NEWBYTES:=500
SITE:=first:/home/ann
EOF
}

# acquire PARCEL NONCE [SITE]
acquire()
{
    lock isr_acquire_lock ann "$1" "$2" <<EOF
SITE:=${3-here:/home/ann}
EOF
}

# publish PARCEL NONCE BASE KEYROOT [release]
publish()
{
    parcel=$1 with=$2 base=$3 key=$4
    shift 4
    lock isr_publish ann "$parcel" "$with" "$@" <<EOF
BASE:=$base
KEYROOT:=$key
SIZE:=1000
NEWBYTES:=20
SITE:=here:/home/ann
CONSISTENT:=yes
COMMENT:=a%20comment
EOF
}

# What a keyroot ends with is the catalog's id.
id_a=$hex32$hex32
id_b=$id_a
id_d=fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210
key_d=$id_d$id_d
uuid2=fedcba98765432100123456789abcdef

# rollback PARCEL NONCE VERSION BASE CATALOG [release]
rollback()
{
    parcel=$1 with=$2 old=$3 base=$4 id=$5
    shift 5
    lock isr_rollback ann "$parcel" "$with" "$old" "$@" <<EOF
BASE:=$base
CATALOG:=$id
SITE:=here:/home/ann
COMMENT:=back
EOF
}

# clone PARCEL VERSION NEW CATALOG [UUID]
clone()
{
    lock isr_clone_parcel ann "$1" "$2" "$3" <<EOF
UUID:=${5-$uuid2}
CATALOG:=$4
SITE:=here:/home/ann
EOF
}

# remove PARCEL [UUID]
remove()
{
    lock isr_remove_parcel ann "$1" <<EOF
UUID:=${2-$hex32}
EOF
}

# prune PARCEL NUMBERS [UUID]
prune()
{
    lock isr_prune_versions ann "$1" <<EOF
UUID:=${3-$hex32}
VERSIONS:=$2
EOF
}

# break_it PARCEL HOLDER [stolen]
break_it()
{
    parcel=$1 id=$2
    shift 2
    lock isr_break_lock ann "$parcel" "$@" <<EOF
HOLDER:=$id
REASON:=a%20reason
EOF
}

# counted FILE PROGRAM: makes FILE, a command that does what PROGRAM does, but counts $tmp/left down,
# and kills the command that runs it instead when none is left.
counted()
{
    cat >"$1" <<EOF
#!/bin/sh
PATH=/usr/bin:/bin
read -r left <"$tmp/left"
left=\$((left - 1))
echo \$left >"$tmp/left"
if [ \$left -eq 0 ]; then
    kill -9 \$PPID
    exit 1
fi
exec $2 "\$@"
EOF
    chmod +x "$1"
}

# make_killed: a second copy of the commands, in which whatever changes something on disk is counted:
# mv, sync, rm and mkdir before they do anything, isr-keep before each of its own steps, and it is
# killed too.
make_killed()
{
    mkdir "$tmp/bin" "$tmp/killed"
    cp "$scripts"/* "$tmp/killed"
    sed -i "s|^PATH=|PATH=$tmp/bin:|" "$tmp/killed/isr_functions"
    grep -q "^PATH=$tmp/bin:/usr/bin" "$tmp/killed/isr_functions" || fail 'PATH is not where it was'
    for program in mv sync rm mkdir; do
        counted "$tmp/bin/$program" "$program"
    done
    ln -s "$abs_top_builddir/lockclient/isr-look" "$tmp/isr-look"
    cat >"$tmp/isr-keep" <<EOF
#!/bin/sh
exec 8<>"$tmp/left" "$abs_top_builddir/tests/isr_keep_killed" "\$@"
EOF
    chmod +x "$tmp/isr-keep"
}

# kill_everywhere NAME: runs prepare_NAME once, then again and again do_NAME, killed at each step in
# turn, between_NAME, do_NAME whole, and end_NAME.
kill_everywhere()
{
    [ -d "$tmp/killed" ] || make_killed
    whole=$scripts
    ISR_LOCKSRV_ROOT=$tmp/start
    rm -rf "$tmp/start" "$tmp/root"
    "prepare_$1"
    ISR_LOCKSRV_ROOT=$tmp/root
    step=0 killed=137
    while [ "$killed" -ne 0 ]; do
        step=$((step + 1))
        [ "$step" -lt 100 ] || fail "$1: never ends"
        rm -rf "$tmp/root"
        [ ! -d "$tmp/start" ] || cp -a "$tmp/start" "$tmp/root"
        echo "$step" >"$tmp/left"
        scripts=$tmp/killed
        "do_$1" 2>/dev/null
        scripts=$whole
        killed=$status
        case $killed in
        0 | 137) ;;
        *) fail "$1, killed at step $step: status $killed" ;;
        esac
        "between_$1"
        "do_$1"
        "end_$1"
    done
    [ "$step" -gt 3 ] || fail "$1: only $step steps"
    printf '%s: killed at each of %s steps\n' "$1" "$((step - 1))"
}

new_uuid=ffffffff$hex32
new_uuid=${new_uuid%????????}
new_secret=$(printf '%064d' 7)

# rekey NONCE BASE KEYROOT [release]
rekey()
{
    with=$1 base=$2 key=$3
    shift 3
    lock isr_rekey ann vm "$with" "$@" <<EOF
BASE:=$base
KEYROOT:=$key
SIZE:=1000
NEWBYTES:=900
SITE:=here:/home/ann
CONSISTENT:=yes
UUID:=$new_uuid
SECRET:=$new_secret
EOF
}

# recover PARCEL NUMBER [RECOVERY]
recover()
{
    lock isr_recover_parcel ann "$1" <<EOF
UUID:=$hex32
SRC:=FILE:///srv/x%20y
STORE:=$hex32
KEYROOT:=$key_a
SIZE:=1000
NEWBYTES:=0
SITE:=here:/home/ann
VERSION:=$2
${3+RECOVERY:=$3}
EOF
}
