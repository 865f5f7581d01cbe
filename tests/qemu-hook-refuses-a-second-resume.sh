#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# While a guest runs another resume of it is refused, and does it no harm.
. "$abs_top_srcdir/tests/vmm-functions.sh"

new_guest
resume || fail 'cannot boot'
await_count 1
first=$boot
fails 1 hook resume
in_one_line 'running already'
await_count $((count + 1))
[ "$boot" = "$first" ] || fail 'the guest has booted again'
