#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A guest that was resumed and then lost (here: QEMU killed) boots from its disk; the old memory,
# which no longer fits the disk, is not used a second time.
. "$abs_top_srcdir/tests/vmm-functions.sh"

new_guest
resume || fail 'cannot boot'
await_count 1
first=$boot
hook suspend || fail 'cannot suspend'
resume || fail 'cannot resume'
await_count 1
[ "$boot" = "$first" ] || fail 'the guest has booted again'

read -r pid <"$ISR_VMM_RUNDIR/pid"
kill -s KILL "$pid"
hook wait || fail 'wait has failed'
resume || fail 'cannot boot after the loss'
await_count 1
[ "$boot" != "$first" ] || fail 'used memory was resumed from again'
