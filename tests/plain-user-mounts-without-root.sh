#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A user who is not root, with nothing but fusermount3: imports, mounts, writes, checks in by
# `fusermount3 -u` and by `isr umount`, after a SIGTERM and a kill -9 of the daemon too; others, root
# among them, do not get in; and allow_other is refused in one line where the machine forbids it.
#
# As root this makes itself a mount namespace with a /dev/fuse that all may open, as distributions
# have it, and becomes the user nobody in it.
if [ "$(id -u)" -eq 0 ] && [ -z "${ISR_TEST_NAMESPACE-}" ]; then
    if ! command -v unshare >/dev/null || ! command -v setpriv >/dev/null; then
        printf 'SKIP: unshare and setpriv are missing (Debian package util-linux)\n'
        exit 77
    fi
    unshare -m --propagation private true 2>/dev/null || {
        printf 'SKIP: no mount namespace can be made here\n'
        exit 77
    }
    ISR_TEST_NAMESPACE=1 exec unshare -m --propagation private /bin/sh "$0"
fi
. "$abs_top_srcdir/tests/functions.sh"
requires fusermount3 fuse3
requires jq
[ -e /etc/mtab ] || skip 'there is no /etc/mtab, without which fusermount3 mounts nothing'
[ -u "$(readlink -f "$(command -v fusermount3)")" ] || skip 'fusermount3 is not setuid'

# The user's own folder, on a path that the user may walk, with the programs as they lie when installed.
own=$(mktemp -d "${TMPDIR:-/tmp}/isr-plain-user.XXXXXX")
end() {
    ended=$?
    set +e
    for dir in "$own/m" "$own/home"; do
        ! mountpoint -q "$dir" 2>/dev/null || umount -l "$dir" 2>/dev/null || fusermount3 -u -z "$dir"
    done
    [ -z "${ISR_TEST_NAMESPACE-}" ] || umount -l "$own"
    rm -rf --one-file-system "$own"
    (exit "$ended")
    clean_up
}
trap end EXIT
if [ "$(id -u)" -eq 0 ]; then
    id nobody >/dev/null 2>&1 || skip 'there is no user nobody'
    uid=$(id -u nobody) gid=$(id -g nobody)
    mkdir dev
    mount -t tmpfs -o mode=755,dev tmpfs dev || skip 'cannot mount a tmpfs'
    mknod -m 666 dev/fuse c 10 229 || skip 'cannot make a device'
    mount --bind dev/fuse /dev/fuse || skip 'cannot put another /dev/fuse in its place'
    mount -t tmpfs -o mode=711,size=256m tmpfs "$own"
    become() {
        setpriv --reuid "$uid" --regid "$gid" --clear-groups "$@"
    }
else
    uid=$(id -u) gid=$(id -g)
    become() {
        "$@"
    }
fi
# ISR_TEST: so that what is left is found and ended.
user() {
    become env -i PATH="$own/bin:/usr/bin:/bin" LC_ALL=C ISR_LIBEXEC="$own/libexec" \
        ISR_HOME="$own/isr" ISR_TEST="$tmp" "$@"
}
cd "$own"
mkdir bin libexec
cp "$abs_top_builddir/isrfs/cmd/isr" "$abs_top_builddir/isrfs/cmd/isrfs" bin/
cp -rL "$ISR_LIBEXEC"/* libexec/
chmod -R a+rX bin libexec
mkdir m isr
random_file disk.img 300000
random_file work 500000
chown -R "$uid:$gid" m isr disk.img work .
user true 2>/dev/null || skip 'cannot become that user'
user sh -c ': <>/dev/fuse' 2>/dev/null || skip 'that user may not open /dev/fuse'

versions() {
    user isr history --json vm | jq length
}
# released VERSIONS: so many there are, and nobody holds the lock.
released() {
    [ "$(versions)" -eq "$1" ] || fail "not $1 versions: $(user isr history vm)"
    user isr ls --json | jq -e '.[0].holder == null' >/dev/null || fail "held: $(user isr ls)"
}
# stranger COMMAND...: somebody else, who is not root either, where this can be had.
stranger() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid 54321 --regid 54321 --clear-groups "$@"
    else
        return 1
    fi
}

user isr import --src "FILE://$own/home" vm disk.img >"$tmp/out" 2>"$said" || fail "$(cat "$said")"
user isr mount vm m || fail 'cannot mount'
findmnt -n -o OPTIONS --mountpoint "$own/m" >"$tmp/options"
for option in nosuid nodev default_permissions "user_id=$uid"; do
    grep -q -w -e "$option" "$tmp/options" || fail "no $option: $(cat "$tmp/options")"
done
user cmp disk.img m/disk.img || fail 'not what was imported'
user cp work m/work
[ "$(user stat -c %u:%g m/work)" = "$uid:$gid" ] || fail 'it belongs to somebody else'
! stranger ls m 2>/dev/null || fail 'somebody else gets in'
if [ "$(id -u)" -eq 0 ]; then
    ! ls m 2>/dev/null || fail 'root gets in'
fi
daemon=$(user jq -e .pid m/.isrfs/status)
[ "$(stat -c %u "/proc/$daemon")" -eq "$uid" ] || fail 'the daemon is somebody else'

# fusermount3 returns, and the daemon checks in.
user fusermount3 -u m
wait_gone "$daemon"
released 2

# isr umount waits for it; isrfs itself does as isr mount.
user isrfs vm m
user cmp work m/work || fail 'not what was written'
user sh -c 'echo more >>m/work'
user isr umount m >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
! mountpoint -q m || fail 'still mounted'
released 3

# A signal does the same.
user isr mount vm m
user sh -c 'echo still more >>m/work'
daemon=$(user jq -e .pid m/.isrfs/status)
user kill -s TERM "$daemon"
wait_gone "$daemon"
! mountpoint -q m || fail 'still mounted'
released 4

# After a kill -9 the next mount has what was flushed.
user isr mount vm m
user sh -c 'echo at last >>m/work && sync m/work'
daemon=$(user jq -e .pid m/.isrfs/status)
user kill -s KILL "$daemon"
wait_gone "$daemon"
user fusermount3 -u m
user isr mount vm m 2>"$said" || fail "$(cat "$said")"
[ "$(user tail -n 1 m/work)" = 'at last' ] || fail 'what was flushed is lost'
user isr umount m >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
released 5
! stranger user isr ls 2>/dev/null || fail 'somebody else reads the state folder'

# What only root or fuse.conf may allow is refused before anything is checked out.
if ! grep -qs '^user_allow_other' /etc/fuse.conf; then
    fails 1 user isr mount -o allow_other vm m
    in_one_line '/etc/fuse.conf has a line user_allow_other'
    ! mountpoint -q m || fail 'mounted'
    released 5
fi
# So is a folder of somebody else.
if [ "$(id -u)" -eq 0 ]; then
    mkdir -m 755 theirs
    fails 1 user isr mount vm theirs
    in_one_line 'only root may mount'
    released 5
fi
