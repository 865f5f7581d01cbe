# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# shellcheck disable=SC2034 # variables are set for the tests
#
# For tests that run a real guest, on top of functions.sh: it lies in a folder of an awkward name
# ($guest) and its console is a FIFO, so what it prints is what a test waits for.

. "$abs_top_srcdir/tests/functions.sh"

guest="$tmp/a, b'c\"d \$e"

# A socket's path must be short, and $tmp may be long.
ISR_VMM_RUNDIR=$(mktemp -d /tmp/isr-vmm.XXXXXX)
ISR_QEMU_ACCEL=tcg
export ISR_VMM_RUNDIR ISR_QEMU_ACCEL
unset ISR_QEMU ISR_QEMU_ARGS ISR_QEMU_NET ISR_QEMU_POWEROFF

clean_up_rundir() {
    rundir_status=$?
    set +e
    [ ! -e "$ISR_VMM_RUNDIR/pid" ] || ISR_QEMU_POWEROFF=0 hook poweroff >/dev/null 2>&1
    rm -rf "$ISR_VMM_RUNDIR"
    (exit "$rundir_status")
    clean_up
}
trap clean_up_rundir EXIT

requires qemu-system-x86_64 qemu-system-x86

# hook VERB: the process that it starts is found by $tmp in its environment, should a test fail.
hook() {
    env isr_test="$tmp" timeout 120 "$abs_top_builddir/vmm-hooks/qemu" "$1" "$guest"
}

new_guest() {
    made=0
    "$abs_top_srcdir/scripts/make-guest" "$guest" 2>"$said" || made=$?
    [ "$made" -ne 3 ] || skip "no guest can be made here: $(tail -n 1 "$said")"
    [ "$made" -eq 0 ] || fail "make-guest: $(cat "$said")"
}

# new_console: so that no old line is left in it. Sets ISR_QEMU_ARGS.
new_console() {
    exec 3<&-
    rm -f "$tmp/console"
    mkfifo "$tmp/console"
    exec 3<>"$tmp/console"
    ISR_QEMU_ARGS="-serial file:$tmp/console"
}

# resume: boots or resumes the guest with a new console.
resume() {
    new_console
    ISR_QEMU_ARGS=$ISR_QEMU_ARGS hook resume
}

# await_count N: reads the console until the guest has counted to N. Sets boot and count.
await_count() {
    # shellcheck disable=SC2016
    counted=$(timeout 120 sh -c '
        while IFS= read -r line; do
            case $line in
            *"isrfs-guest boot="*" count="*)
                count=${line##* count=}
                count=${count%%[!0-9]*}
                if [ "$count" -ge "$1" ]; then
                    boot=${line##*isrfs-guest boot=}
                    echo "${boot%% *} $count"
                    exit 0
                fi
                ;;
            esac
        done' sh "$1" <&3) || fail "the guest did not count to $1"
    boot=${counted% *}
    count=${counted#* }
}

must_exist() {
    for name in "$@"; do
        [ -s "$guest/$name" ] || fail "$name is not there"
    done
}

must_not_exist() {
    for name in "$@"; do
        [ ! -e "$guest/$name" ] || fail "$name is there"
    done
}
