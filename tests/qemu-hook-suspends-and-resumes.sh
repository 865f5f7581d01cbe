#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A suspended guest goes on where it was, twice, and never has a mem.vmss while it runs.
. "$abs_top_srcdir/tests/vmm-functions.sh"

new_guest
hook probe || fail 'the hook cannot run a guest that make-guest made'
resume || fail 'cannot boot'
await_count 3
first=$boot

for round in 1 2; do
    before=$count
    hook suspend || fail "cannot suspend, round $round"
    must_exist mem.vmss
    must_not_exist mem.vmss.tmp mem.vmss.used
    hook wait || fail 'wait does not see that QEMU has ended'

    resume || fail "cannot resume, round $round"
    must_exist mem.vmss.used
    must_not_exist mem.vmss mem.vmss.tmp
    await_count 1
    [ "$boot" = "$first" ] || fail "round $round: the guest has booted again"
    [ "$count" -gt "$before" ] || fail "round $round: counted $before before and $count after"
done
