#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr break-lock` says whose lock it is and asks; then another site can check out, and the one that
# was lost can never check in over it. With --stolen that one never gets its session key again.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
site_b isr break-lock vm >out
grep -q 'nobody' out || fail "$(cat out)"

mount_at site_a vm m
printf 'lost\n' >m/lost
sync m/lost
pid=$(daemon_pid m)
fails 1 site_b isr break-lock vm
in_one_line 'out by' "$tmp/a" 'since' '--yes'
fails 3 site_b isr co vm
if has_terminal; then
    printf 'no\n' | script -q -e -c "ISR_HOME='$tmp/b' isr break-lock vm" typescript >/dev/null &&
        fail 'it did not take no for an answer'
    tr -d '\r\n' <typescript | grep -q "out by .* at .*$tmp/a.*since 20.*Break the lock?" ||
        fail "it does not say whose lock it is: $(cat typescript)"
    fails 3 site_b isr co vm
fi
site_b isr break-lock --yes --reason 'left in a taxi: "50%" é' vm >out
grep -q "taken from .* at .*$tmp/a since" out || fail "$(cat out)"
grep -q 'how=broken reason=left%20in%20a%20taxi:%20%2250%25%22%20%C3%A9 ' "$ISR_LOCKSRV"/*/audit ||
    fail 'the reason is not recorded'

mount_at site_b vm n
printf 'found\n' >n/found
umount_at site_b n
[ "$(version_of vm)" -eq 2 ] || fail 'the other site could not check in'
fails 3 site_a isr umount m
says 'vm'
wait_gone "$pid"
fails 3 site_a isr ci vm
in_one_line 'taken from this site' 'kept'
fails 3 site_a isr mount vm m
[ "$(version_of vm)" -eq 2 ] || fail 'the broken site has published'
site_b isr export vm found out2
[ "$(cat out2)" = found ] || fail 'what the other site did is gone'
[ "$(find "$home/versions" -type f | wc -l)" -eq 2 ] || fail 'a record of the refused version is left'
[ -n "$(find "$tmp/a" -path '*/log/*' -type f)" ] || fail 'the work of the broken site is gone'

# Found to be stolen later: its log cannot be opened there any more.
key=$(sed -n 's/ broken - .*//p' "$ISR_LOCKSRV"/*/parcels/vm/nonces)
session() {
    ISR_LOCKSRV_ROOT=$ISR_LOCKSRV "$ISR_LIBEXEC/lockserver/isr_check_lock" "$(id -un)" vm "$key" |
        grep -c SESSION || :
}
[ "$(session)" -eq 1 ] || fail 'a broken site does not get its key'
fails 1 site_b isr break-lock --stolen vm
site_b isr break-lock --stolen --yes vm >out
grep -q 'withheld' out || fail "$(cat out)"
[ "$(session)" -eq 0 ] || fail 'a stolen site gets its key'

# Stolen from the start.
site_a isr co --user "$(id -un)" vm 2>"$said" && fail 'a broken site has checked out again'
rm -r "$tmp/a/parcels"
site_a isr co vm
key=$(sed -n 's/^NONCE:=//p' "$ISR_LOCKSRV"/*/parcels/vm/holder)
[ "$(session)" -eq 1 ] || fail 'who holds the lock does not get its key'
site_b isr break-lock --stolen --yes vm
[ "$(session)" -eq 0 ] || fail 'a stolen site gets its key'
fails 3 site_a isr ci vm
fails 4 site_b isr break-lock --yes none
fails 2 site_b isr break-lock --yes --reason "$(printf 'a\nb')" vm
