#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A hundred users with three parcels each, over one account and real ssh: each sees only what is
# theirs, and forty of them check out at the same moment, and in again, some with changes.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
. "$abs_top_srcdir/tests/ssh-functions.sh"
start_sshd
server=$ISR_LOCKSRV
at_once=40

random_file disk.img 300000
new_parcel vm disk.img
template=$root/ann/parcels/vm
keyroot=$(cut -d ' ' -f 9 "$template/versions")

# new_parcels USER: through the server's own command; all in the one home.
new_parcels() {
    for number in 1 2 3; do
        uuid=$(printf '%s %s' "$1" "$number" | md5sum | cut -c 1-32)
        {
            printf 'UUID:=%s\nKEYROOT:=%s\nSIZE:=300000\nNEWBYTES:=300000\nSITE:=x:/x\n' "$uuid" \
                "$keyroot"
            grep -e '^SRC:=' -e '^STORE:=' "$template/parcel.cfg"
        } | ISR_LOCKSRV_ROOT=$root "$libexec/lockserver/isr_create_parcel" "$1" "$1-$number" \
            >/dev/null || fail "no parcel for $1"
    done
}
for i in $(seq 100); do
    user=user$i
    "$libexec/isr_admin" "$root" user-add "$user" >/dev/null || fail "cannot add $user"
    new_parcels "$user"
    [ "$i" -le "$at_once" ] || continue
    mkdir "$tmp/keys$i" "$tmp/site$i"
    new_key "$tmp/keys$i/id_ed25519"
    cp "$ssh/known_hosts" "$tmp/keys$i/"
    printf 'SSH_DIR:=%s\nSSH_TIMEOUT:=300\nUSER:=%s\n' "$tmp/keys$i" "$user" \
        >"$tmp/site$i/isr.conf"
    printf 'restrict,command="%s" %s\n' "$libexec/isr_shell --user $user --root $root" \
        "$(cat "$tmp/keys$i/id_ed25519.pub")" >>"$tmp/authorized_keys"
done
unset ISR_USER
ISR_LOCKSRV=$server

# at_once COMMAND...: by all sites at the same moment, each for the first parcel of its user.
everybody() {
    pids=
    for i in $(seq "$at_once"); do
        ISR_HOME=$tmp/site$i timeout 500 isr "$@" "user$i-1" >"$tmp/out$i" 2>&1 &
        pids="$pids $!"
    done
    i=0
    for pid in $pids; do
        i=$((i + 1))
        wait "$pid" || fail "isr $* of user$i: $(cat "$tmp/out$i")"
    done
}

everybody co
[ "$(find "$root" -path '*/parcels/*/holder' | wc -l)" -eq "$at_once" ] || fail 'locks are missing'
for i in $(seq "$at_once"); do
    grep -q "/site$i\$" "$root/user$i/parcels/user$i-1/holder" || fail "user$i has not the lock"
done
for i in 1 2 3 4; do
    ISR_HOME=$tmp/site$i isr mount "user$i-1" m -o noci >out 2>&1 || fail "$(cat out)"
    echo "of user $i" >m/note
    ISR_HOME=$tmp/site$i isr umount m >out 2>&1 || fail "$(cat out)"
done
everybody ci
[ -z "$(find "$root" -path '*/parcels/*/holder')" ] || fail 'a lock was not given back'
for i in $(seq "$at_once"); do
    versions=$(wc -l <"$root/user$i/parcels/user$i-1/versions")
    wanted=1
    [ "$i" -gt 4 ] || wanted=2
    [ "$versions" -eq "$wanted" ] || fail "user$i has $versions versions"
done

# What is theirs, and nothing else.
ISR_HOME=$tmp/site7 isr ls --json >list
[ "$(jq -r '[.[].parcel] | join(" ")' list)" = 'user7-1 user7-2 user7-3' ] ||
    fail "user7 sees $(cat list)"
fails 2 env ISR_HOME="$tmp/site7" isr ls --user user8
ISR_HOME=$tmp/site3 isr mount user3-1@2 m >out 2>&1 || fail "$(cat out)"
[ "$(cat m/note)" = 'of user 3' ] || fail 'the note is not there'
ISR_HOME=$tmp/site3 isr umount m
