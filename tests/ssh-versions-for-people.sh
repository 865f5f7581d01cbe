#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# With the lock server behind ssh, versions are rolled back, cloned, resized, pruned and removed, and
# a lock is broken, as with a folder; over libssh and over the system's ssh.
. "$abs_top_srcdir/tests/functions.sh"
. "$abs_top_srcdir/tests/ssh-functions.sh"
requires jq
start_sshd

random_file disk.img 300000
round() {
    new_parcel vm disk.img
    site_a isr resize -m 'größer' vm disk.img 1M
    site_b isr rollback vm 1
    site_a isr clone vm@2 copy
    site_b isr export vm disk.img one
    same one disk.img
    site_b isr export copy disk.img two
    [ "$(stat -c %s two)" -eq 1048576 ] || fail 'the clone has another size'
    site_a isr history --json vm | jq -e 'map(.version) == [1, 2, 3] and .[1].comment == "größer"' ||
        fail 'the history is wrong'
    site_a isr co vm
    fails 3 site_b isr rollback vm 2
    in_one_line 'out by ann at' "$tmp/a"
    fails 3 site_b isr rm --yes vm
    fails 1 site_b isr break-lock vm
    in_one_line 'out by ann at' "$tmp/a"
    site_b isr break-lock --yes --stolen --reason 'lost' vm
    fails 3 site_a isr ci vm
    rm -r "$tmp/a/parcels"
    site_b isr prune vm --keep 2
    site_a isr history --json vm | jq -e 'map(.version) == [2, 3]' || fail 'not pruned'
    site_a isr rm --yes vm
    site_a isr rm --yes copy
    site_a isr ls --json | jq -e '. == []' || fail 'not removed'
    [ -z "$(find "$home/versions" -type f)" ] || fail 'records are left'
    rm one two
}
round
ISR_SSH=$system_ssh
export ISR_SSH
round
