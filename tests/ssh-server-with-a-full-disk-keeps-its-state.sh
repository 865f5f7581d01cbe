#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The lock server's disk is full, or becomes so in the middle of any command: the command fails and
# says why in one line, what was there before is whole, and all works again when there is room.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires_root
. "$abs_top_srcdir/tests/ssh-functions.sh"
mkdir "$root"
mount -t tmpfs -o size=1m,nr_inodes=200,mode=700 tmpfs "$root" || skip 'cannot mount a tmpfs'
start_sshd
let_in "$libexec/isr_shell --user ann --root $root"

random_file disk.img 300000
new_parcel vm disk.img
parcel=$root/ann/parcels/vm

# fill WHAT ROOM: until no more than so many pages of 4 KiB, or files, are free.
fill() {
    mkdir "$root/filler"
    case $1 in
    pages)
        if dd if=/dev/zero of="$root/filler/0" bs=4096 count=10000 2>/dev/null; then
            fail 'it was not filled'
        fi
        truncate -s "$(($(stat -c %s "$root/filler/0") - $2 * 4096))" "$root/filler/0"
        ;;
    files)
        for file in $(seq "$(($(stat -f -c %d "$root") - $2))"); do
            : >"$root/filler/$file"
        done
        ;;
    esac
}

whole() {
    site_a isr history vm >now 2>&1 || fail "the history cannot be read: $(cat now)"
    cmp now before || fail 'the history has changed'
}

failed=0
# try COMMAND...: it works, or says that the server cannot write, in one line.
try() {
    status=0
    site_a "$@" >out 2>"$said" || status=$?
    if [ "$status" -ne 0 ]; then
        failed=$((failed + 1))
        [ "$status" -eq 1 ] || fail "$*: status $status: $(cat "$said")"
        in_one_line 'cannot'
    fi
    return "$status"
}

site_a isr history vm >before
for room in 'pages 0' 'files 0' 'pages 1' 'files 1' 'pages 2'; do
    # shellcheck disable=SC2086 # two words
    fill $room
    done_with=no
    if try isr co vm; then
        done_with=co
    fi
    whole
    rm -r "$root/filler"
    [ "$done_with" = co ] || site_a isr co vm >out || fail 'not checked out when there is room'
    mount_at site_a vm m -o noci
    random_file m/work 100000
    cp m/work work
    umount_at site_a m >out 2>&1

    # shellcheck disable=SC2086 # two words
    fill $room
    if try isr ci vm; then
        done_with=ci
    fi
    rm -r "$root/filler"
    [ "$done_with" = ci ] || site_a isr ci vm >out 2>&1 ||
        fail "not checked in when there is room: $(cat out)"
    [ -z "$(holder vm)" ] || fail 'the lock is still held'
    site_a isr history vm >now
    [ "$(wc -l <now)" -eq "$(($(wc -l <before) + 1))" ] || fail 'not one version more'
    mv now before
done
[ "$failed" -ge 4 ] || fail "the disk was full for $failed commands only"
mount_at site_b vm n
same work n/work
umount_at site_b n
