# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# shellcheck disable=SC2034 # variables are set for the tests
#
# What the shell tests share; tests/README says how to write one. Sourcing this makes an own folder
# ($tmp, also the working folder) that is cleaned up whatever happens: mounts are undone, programs
# that were started with it in their environment are ended, the folder is removed.

set -eu
LC_ALL=C
TZ=UTC
PATH=$abs_top_builddir/isrfs/cmd:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL TZ PATH ISR_LIBEXEC
unset ISR_HOME ISR_LOCKSRV ISR_DEBUG
umask 077

test_name=${0##*/}
test_name=${test_name%.sh}
work=$abs_top_builddir/tests/work
mkdir -p "$work"
tmp=$(mktemp -d "$work/$test_name.XXXXXX")

# --- the end --------------------------------------------------------------------------------------

# own_processes: the ids of all that were started with $tmp in their environment.
own_processes() {
    for environ in /proc/[0-9]*/environ; do
        if grep -qsF -e "$tmp" "$environ" 2>/dev/null; then
            pid=${environ#/proc/}
            printf '%s\n' "${pid%/environ}"
        fi
    done
}

# own_mounts: the mountpoints below $tmp, innermost first.
own_mounts() {
    awk -v tmp="$tmp/" 'index($5, tmp) == 1 { print $5 }' /proc/self/mountinfo | tac |
        while IFS= read -r octal; do
            printf '%b\n' "$(printf '%s' "$octal" | sed 's/\\\([0-7][0-7][0-7]\)/\\0\1/g')"
        done
}

unmount_lazily() {
    if [ "$(id -u)" -eq 0 ]; then
        umount -l "$1"
    else
        fusermount3 -uz "$1"
    fi
}

clean_up() {
    status=$?
    trap '' EXIT
    trap '' HUP INT TERM
    set +e
    cd /
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
        find "$tmp" -xdev -name messages -type f -exec tail -n 120 -v '{}' +
    fi
    # Loop mounts lie on files of the daemons, which serve until these are gone.
    own_mounts | while IFS= read -r mountpoint; do
        case $(findmnt -n -o FSTYPE --mountpoint "$mountpoint") in
        fuse*) ;;
        *) umount "$mountpoint" || umount -l "$mountpoint" ;;
        esac
    done
    for pid in $(own_processes); do
        kill -s KILL "$pid" 2>/dev/null
    done
    own_mounts | while IFS= read -r mountpoint; do
        unmount_lazily "$mountpoint"
    done
    chmod -R u+rwX "$tmp" 2>/dev/null
    rm -rf --one-file-system "$tmp"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

skip() {
    printf 'SKIP: %s\n' "$*"
    exit 77
}

fail() {
    printf 'FAIL: %s\n' "$*"
    exit 1
}

# --- what a test needs ----------------------------------------------------------------------------

# requires PROGRAM [PACKAGE]
requires() {
    command -v "$1" >/dev/null 2>&1 || skip "$1 is missing (Debian package ${2-$1})"
}

requires_root() {
    [ "$(id -u)" -eq 0 ] || skip 'needs root'
}

requires_fuse() {
    requires fusermount3 fuse3
    requires jq
    if ! [ -r /dev/fuse ] || ! [ -w /dev/fuse ]; then
        skip 'this user may not open /dev/fuse'
    fi
}

# has_terminal: script(1) can give a program a terminal.
has_terminal() {
    command -v script >/dev/null && script -q -e -c true /dev/null >/dev/null 2>&1 </dev/null
}

requires_terminal() {
    requires script bsdutils
    has_terminal || skip 'there are no pseudo-terminals here (devpts is not mounted)'
}

# --- two sites, a lock server, a home ---------------------------------------------------------------

cd "$tmp"
mkdir a b m n
ISR_LOCKSRV=$tmp/locksrv
home=$tmp/home
export ISR_LOCKSRV
# What a program says on standard error.
said=$tmp/said

# site_a COMMAND...: runs a command at the first site.
site_a() {
    env ISR_HOME="$tmp/a" "$@"
}

site_b() {
    env ISR_HOME="$tmp/b" "$@"
}

# new_parcel NAME FILE...: imports at site A, into $home.
new_parcel() {
    parcel_name=$1
    shift
    site_a isr import --src "FILE://$home" "$parcel_name" "$@" >"$tmp/import.out" 2>"$said" ||
        fail "cannot import $parcel_name: $(cat "$said")"
}

# mount_at SITE PARCEL DIR [ARGUMENT...]
mount_at() {
    mount_site=$1
    mount_source=$2
    mount_dir=$3
    shift 3
    "$mount_site" isrfs "$mount_source" "$mount_dir" "$@" ||
        fail "cannot mount $mount_source"
    mountpoint -q "$mount_dir" || fail "$mount_dir is not mounted"
}

# umount_at SITE DIR: waits for the check-in.
umount_at() {
    "$1" isr umount "$2" || fail "cannot unmount $2"
    if mountpoint -q "$2"; then
        fail "$2 is still mounted"
    fi
}

# daemon_pid DIR: who serves the mount there.
daemon_pid() {
    jq -e .pid "$1/.isrfs/status"
}

# wait_gone PID: until that process has ended.
wait_gone() {
    timeout 120 tail --pid="$1" -s 0.1 -f /dev/null || fail "process $1 does not end"
}

# kill_daemon DIR [PID]: as a crash; what served the mount there has ended, and the mount is gone. With
# PID, which was asked for before, nothing comes between the last write and the kill.
kill_daemon() {
    kill_pid=${2:-$(daemon_pid "$1")}
    kill -s KILL "$kill_pid"
    wait_gone "$kill_pid"
    unmount_lazily "$1"
}

# wait_removed FILE: until it has no name any more; tail ends when it has nothing left to follow.
wait_removed() {
    [ -e "$1" ] || return 0
    timeout 120 tail -c 0 -s 0.1 --follow=name "$1" >/dev/null 2>&1 || :
    [ ! -e "$1" ] || fail "$1 stays"
}

# wait_for_line FILE PATTERN: until FILE has a line that matches.
wait_for_line() {
    [ -e "$1" ] || : >>"$1"
    timeout 60 tail -n +1 -f "$1" | grep -q -m 1 -e "$2" || fail "no line '$2' in $1"
}

# wait_unlocked SITE PARCEL PID: until the daemon PID of SITE has checked PARCEL in.
wait_unlocked() {
    wait_gone "$3"
    [ -z "$(holder "$2")" ] || fail "$2 is still locked: $(holder "$2")"
}

# holder PARCEL: the line that says who holds the lock, empty if nobody does.
holder() {
    holder_file=$(find "$ISR_LOCKSRV" -path "*/parcels/$1/holder" -type f)
    [ -n "$holder_file" ] || return 0
    sed -n 's/^SITE:=//p' "$holder_file"
}

# version_of PARCEL: its newest version's number.
version_of() {
    site_b isr ls --json | jq -r --arg name "$1" '.[] | select(.parcel == $name) | .version'
}

# replace_command NAME: for who has ISR_LIBEXEC=$tmp/libexec this command of the lock server is the
# script on standard input; all else is as it was.
real_libexec=${ISR_LIBEXEC-}
replace_command() {
    rm -rf "$tmp/libexec"
    mkdir -p "$tmp/libexec/lockserver"
    for program in "$real_libexec"/*; do
        [ "${program##*/}" = lockserver ] || ln -s "$program" "$tmp/libexec/"
    done
    cp "$real_libexec"/lockserver/* "$tmp/libexec/lockserver/"
    cat >"$tmp/libexec/lockserver/$1"
}

# no_parcel: the lock server knows none.
no_parcel() {
    [ -z "$(find "$ISR_LOCKSRV" -path "*/parcels/*/versions" 2>/dev/null)" ] ||
        fail "a parcel can be seen"
}

# messages SITE-FOLDER: what the daemons of that site wrote.
messages() {
    find "$1" -name messages -type f -exec cat '{}' +
}

# --- commands that have to fail ---------------------------------------------------------------------

# fails STATUS COMMAND...: it must exit with that status, and say why in one line ($said).
fails() {
    fails_status=$1
    shift
    fails_got=0
    "$@" >"$tmp/stdout" 2>"$said" </dev/null || fails_got=$?
    [ "$fails_got" -eq "$fails_status" ] ||
        fail "exit $fails_got instead of $fails_status from: $* ($(cat "$said"))"
    [ -s "$said" ] || fail "not a word on standard error from: $*"
}

# says PATTERN...: its last line has each of these in it; lines before that may tell details.
says() {
    for pattern in "$@"; do
        tail -n 1 "$said" | grep -q -i -e "$pattern" || fail "'$pattern' is not said: $(cat "$said")"
    done
}

# in_one_line PATTERN...: the last failure was told in one line, which has each of these in it.
in_one_line() {
    [ "$(wc -l <"$said")" -eq 1 ] || fail "more than one line: $(cat "$said")"
    for pattern in "$@"; do
        grep -q -i -e "$pattern" "$said" || fail "'$pattern' is not said: $(cat "$said")"
    done
}

# --- real data --------------------------------------------------------------------------------------

# real_files FOLDER BYTES: the paths of its files, by name, up to so many bytes, without the first /.
real_files() {
    find "$1" -xdev -type f -readable -size -4096k -printf '%p %s\n' 2>/dev/null | sort |
        awk -v room="$2" '{ size = $NF; if (room < size) exit; room -= size
            sub(/ [0-9]+$/, ""); print substr($0, 2) }'
}

# real_tree FOLDER: copies some 40 MB of this machine's own files there.
real_tree() {
    mkdir -p "$1"
    { real_files /usr/include 20000000 && real_files /usr/lib 20000000; } >"$tmp/real-files"
    tar -C / --verbatim-files-from --ignore-failed-read -T "$tmp/real-files" -cf - 2>/dev/null |
        tar -C "$1" --no-same-owner -xf -
    rm "$tmp/real-files"
    [ "$(find "$1" -type f | wc -l)" -gt 50 ] || fail 'found no files to test with'
}

# real_image IMAGE: an ext4 disk of 96 MiB with such files in it. Made once for all tests.
real_image() {
    requires mke2fs e2fsprogs
    if ! [ -f "$work/real.img" ]; then
        real_tree "$tmp/real-tree"
        mke2fs -q -F -t ext4 -b 4096 -E root_owner=0:0 -d "$tmp/real-tree" "$tmp/real.img" 96M
        rm -rf "$tmp/real-tree"
        mv "$tmp/real.img" "$work/real.img"
    fi
    cp --sparse=always "$work/real.img" "$1"
}

# random_file FILE BYTES
random_file() {
    head -c "$2" /dev/urandom >"$1"
}

# text_file FILE BYTES: compresses well, and no two pieces are the same.
text_file() {
    seq -f 'line %015.0f of a file that compresses' 1 "$(($2 / 45 + 1))" | head -c "$2" >"$1"
}

# same FILE FILE
same() {
    cmp "$1" "$2" || fail "$1 and $2 differ"
}
