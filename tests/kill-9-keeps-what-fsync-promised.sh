#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The daemon is killed: what was fsynced is there at the next mount of this site, and comes home; what
# was done to folders, names and data after that is there as it was at one moment.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 3000000
new_parcel vm disk.img
random_file one 700000
random_file two 300000
cp disk.img expected
dd if=one of=expected bs=100000 seek=3 conv=notrunc status=none
dd if=two of=expected bs=100000 seek=20 conv=notrunc status=none

mount_at site_a vm m
pid=$(daemon_pid m)
dd if=one of=m/disk.img bs=100000 seek=3 conv=notrunc,fsync status=none
cp one m/first
sync m/first
mv m/first m/renamed
sync m/renamed
dd if=two of=m/disk.img bs=100000 seek=20 conv=notrunc,fsync status=none
kill_daemon m "$pid"

[ -n "$(holder vm)" ] || fail 'the lock was lost'
fails 3 site_b isrfs vm n
mount_at site_a vm m
same expected m/disk.img
same one m/renamed
[ ! -e m/first ] || fail 'the old name is back'

# Folders, names and data, with a copy of them at each moment.
contents() { # FOLDER: what is in it
    (cd "$1" && { find . -type d && find . -type f -exec cksum '{}' +; } | sort | cksum)
}
moment=0
step() { # COMMAND...
    (cd m/tree && "$@")
    (cd tree && "$@")
    moment=$((moment + 1))
    contents tree >"moment.$moment"
}
fill() { # FOLDER
    head -c "${1}234" "$tmp/one" >>"$1/new"
}
pid=$(daemon_pid m)
mkdir m/tree tree
i=1
while [ "$i" -le 6 ]; do
    step mkdir "$i"
    step touch "$i/new"
    step fill "$i"
    step mv "$i/new" "$i/whole"
    if [ "$i" -eq 2 ] || [ "$i" -eq 4 ]; then
        sync "m/tree/$i/whole"
        durable=$moment
    fi
    if [ "$i" -gt 1 ]; then
        step rm "$((i - 1))/whole"
        step rmdir "$((i - 1))"
    fi
    i=$((i + 1))
done
kill_daemon m "$pid"
mount_at site_a vm m
contents m/tree >found
while [ "$moment" -ge "$durable" ] && ! cmp -s found "moment.$moment"; do
    moment=$((moment - 1))
done
[ "$moment" -ge "$durable" ] || fail "found as it never was since moment $durable: $(find m/tree)"

# Once more, and now `isr ci` without a mount does the rest.
pid=$(daemon_pid m)
cp two m/second
sync m/second
kill_daemon m "$pid"
site_a isr ci --yes vm
[ -z "$(holder vm)" ] || fail 'the lock is still held'
mount_at site_b vm n
same expected n/disk.img
same one n/renamed
same two n/second
contents n/tree >came
same found came
umount_at site_b n
