#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# poweroff lets the guest shut down by itself: its disk is clean and holds what it wrote; wait
# returns.
. "$abs_top_srcdir/tests/vmm-functions.sh"

new_guest
resume || fail 'cannot boot'
await_count 2
hook wait &
waiting=$!
answer=$(hook poweroff) || fail 'poweroff has failed'
case $answer in
*'switched itself off'*) ;;
*) fail "poweroff says: $answer" ;;
esac
wait "$waiting" || fail 'wait has failed'

e2fsck -fn "$guest/disk.img" >"$said" 2>&1 || fail "the disk is not clean: $(cat "$said")"
proof=$(debugfs -R 'cat /proof' "$guest/disk.img" 2>/dev/null)
case $proof in
"isrfs-guest boot=$boot count="*) ;;
*) fail "the guest's file holds: $proof" ;;
esac
must_not_exist mem.vmss mem.vmss.used
