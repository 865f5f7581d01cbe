# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# shellcheck disable=SC2154 # variables of functions.sh
#
# A home ($home) on a FUSE mount of a folder ($real), whose server can be made to hang or to go away
# (tests/unit/hanging_fs.c). Sourced after functions.sh.

requires_fuse
requires_root
real=$tmp/real
mkdir -p "$real" "$home"
home_pid=

# Nothing can be cleaned up around a mount that hangs.
# shellcheck disable=SC2154 # status is set there
trap 'status=$?; set +e; [ -z "$home_pid" ] || kill -s KILL "$home_pid" 2>/dev/null; (exit "$status"); clean_up' EXIT

# home_says LETTER: waits until the home's server says so.
home_says() {
    # shellcheck disable=SC2016 # for that shell
    timeout 60 sh -c 'until [ "$(head -c 1 <&3)" = "$1" ]; do :; done' sh "$1" 3<&3 ||
        fail "the home's server does not say $1"
}

# home_starts: mounts it.
home_starts() {
    rm -f "$tmp/orders" "$tmp/answers"
    mkfifo "$tmp/orders" "$tmp/answers"
    "$abs_top_builddir/tests/unit/hanging_fs" "$real" "$home" <"$tmp/orders" >"$tmp/answers" &
    home_pid=$!
    exec 4>"$tmp/orders" 3<"$tmp/answers"
    home_says r
}

# home_dies: its server is killed; who asks gets ENOTCONN.
home_dies() {
    kill -s KILL "$home_pid"
    wait "$home_pid" 2>/dev/null || :
}

# home_goes: and it is unmounted, so that there is an empty folder.
home_goes() {
    home_dies
    umount -l "$home"
}

# home_hangs [TEXT]: requests for paths with TEXT in them are taken and not answered.
# shellcheck disable=SC2120 # TEXT is left out
home_hangs() {
    printf 'f %s\n' "${1-/}" >&4
    home_says f
}

# home_is_bad [TEXT]: reading a file with TEXT in its path is an I/O error, until home_answers.
# shellcheck disable=SC2120 # TEXT is left out
home_is_bad() {
    printf 'e %s\n' "${1-/}" >&4
    home_says e
}

home_answers() {
    printf 't\n' >&4
    home_says t
}

# home_stops: the server is stopped.
home_stops() {
    kill -s STOP "$home_pid"
    # shellcheck disable=SC2016 # for that shell
    timeout 10 sh -c 'until grep -q "^State:.T" "/proc/$1/status"; do :; done' sh "$home_pid" ||
        fail 'the server does not stop'
}

home_continues() {
    kill -s CONT "$home_pid"
}

# set_limits SITE-FOLDER SECONDS [SECONDS]: HOME_TIMEOUT and HOME_WAIT.
set_limits() {
    printf 'HOME_TIMEOUT:=%s\n' "$2" >>"$1/isr.conf"
    [ $# -lt 3 ] || printf 'HOME_WAIT:=%s\n' "$3" >>"$1/isr.conf"
}

# wait_status DIR FILTER: until jq's FILTER is true of the mount's status.
wait_status() {
    # shellcheck disable=SC2016 # for that shell
    timeout 60 sh -c 'until jq -e "$2" "$1/.isrfs/status" >/dev/null; do :; done' sh "$1" "$2" ||
        fail "never in the status: $2 ($(cat "$1/.isrfs/status"))"
}

# direct_read FILE BLOCK [COUNT]: 4 KiB blocks as the daemon gives them now, not the kernel's pages.
direct_read() {
    dd if="$1" bs=4096 skip="$2" count="${3-1}" iflag=direct 2>>"$said"
}

# milliseconds: of a clock.
milliseconds() {
    date +%s%3N
}
