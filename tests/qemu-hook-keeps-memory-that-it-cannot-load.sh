#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A mem.vmss that QEMU does not take is left as it is, with one line that says why; a good one works
# afterwards.
. "$abs_top_srcdir/tests/vmm-functions.sh"

new_guest
resume || fail 'cannot boot'
await_count 1
first=$boot
hook suspend || fail 'cannot suspend'
mv "$guest/mem.vmss" "$tmp/good"

# refused WHAT: $tmp/bad as mem.vmss.
refused() {
    cp "$tmp/bad" "$guest/mem.vmss"
    fails 1 resume
    in_one_line 'cannot resume from mem.vmss'
    cmp -s "$tmp/bad" "$guest/mem.vmss" || fail "$1: mem.vmss has changed"
    must_not_exist mem.vmss.used
    fails 1 hook suspend
    in_one_line 'not running'
}

: >"$tmp/bad"
refused 'an empty file'
printf 'this is not a memory image\n' >"$tmp/bad"
refused 'a text'
head -c 20000000 "$tmp/good" >"$tmp/bad"
refused 'a truncated image'

mv "$tmp/good" "$guest/mem.vmss"
resume || fail 'cannot resume'
await_count 1
[ "$boot" = "$first" ] || fail 'the guest has booted again'
