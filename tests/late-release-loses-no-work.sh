#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A request to give the lock back, which was thought to be lost, is carried out when the site has
# gone on with its work: the work is kept, and the site is told in one line. Nothing more there than
# was published: it has ended, and nothing is left of it.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

nonce_here() {
    cat "$tmp"/a/parcels/*/vm/nonce
}
give_back() {
    ISR_LOCKSRV_ROOT=$ISR_LOCKSRV "$ISR_LIBEXEC/lockserver/isr_release_lock" "$(id -un)" vm \
        "$(nonce_here)" >/dev/null </dev/null || fail 'the lock cannot be given back'
}

random_file disk.img 300000
new_parcel vm disk.img

# Committed, and no more than synced.
for how in umount kill; do
    mount_at site_a vm m -o noci
    daemon=$(daemon_pid m)
    random_file work.img 200000
    cp work.img m/
    sync m/work.img
    if [ "$how" = umount ]; then
        umount_at site_a m
    else
        kill_daemon m "$daemon"
    fi
    give_back
    fails 3 site_a isr ci --yes vm
    in_one_line 'given back before all was checked in' 'are kept'
    fails 3 site_a isrfs vm m
    [ -n "$(find "$tmp"/a/parcels/*/vm/log -type f -size +199k)" ] || fail 'the work is gone'
    [ "$(version_of vm)" -eq 1 ] || fail 'it was published'
    rm -r "$tmp"/a/parcels/*/vm
done

# Nothing was done, or nothing after what was published.
site_a isr co vm >/dev/null
give_back
site_a isr ci vm >out 2>&1 || fail "it is not seen that it has ended: $(cat out)"
grep -q 'given back without changes' out || fail "it is not said: $(cat out)"
mount_at site_a vm m
cp work.img m/
site_a isr checkpoint vm >/dev/null
kill_daemon m
give_back
site_a isr ci --yes vm >out 2>&1 || fail "it is not seen that it has ended: $(cat out)"
[ -z "$(find "$tmp"/a/parcels/*/vm -name 'log*')" ] || fail 'something is left'
mount_at site_b vm n
same work.img n/work.img
umount_at site_b n
