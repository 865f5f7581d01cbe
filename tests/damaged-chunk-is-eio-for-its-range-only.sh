#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# An object at home is damaged: reading that range is EIO, the rest reads right, and a line in the
# log names file, chunk and id. Never are wrong bytes returned.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

chunk=131072
random_file disk.img $((8 * chunk))
new_parcel vm disk.img
# Random bytes do not compress: the chunks' objects are the large ones.
find "$home/chunks" -type f -size +127k | sort >objects
[ "$(wc -l <objects)" -eq 8 ] || fail 'expected eight chunks'
victim=$(sed -n 3p objects)
other=$(sed -n 5p objects)
cp "$victim" good

damage() { # KIND
    rm -f "$victim"
    cp good "$victim"
    case $1 in
    bit)
        byte=$(od -An -tu1 -j 5000 -N 1 good | tr -d ' ')
        # shellcheck disable=SC2059 # an octal escape
        printf "\\$(printf %o $((byte ^ 4)))" | dd of="$victim" bs=1 seek=5000 conv=notrunc status=none
        ;;
    cut) truncate -s 70000 "$victim" ;;
    empty) : >"$victim" ;;
    longer) printf x >>"$victim" ;;
    huge) truncate -s 9M "$victim" ;;
    swapped) cp "$other" "$victim" ;;
    missing) rm "$victim" ;;
    link) ln -sf "$other" "$victim" ;;
    fifo) rm "$victim" && mkfifo "$victim" ;;
    folder) rm "$victim" && mkdir "$victim" ;;
    esac
}

for kind in bit cut empty longer huge swapped missing link fifo folder; do
    damage "$kind"
    mount_at site_b vm n
    bad=
    for index in 0 1 2 3 4 5 6 7; do
        if dd if=n/disk.img of=piece bs=$chunk skip=$index count=1 status=none 2>dd.err; then
            dd if=disk.img of=wanted bs=$chunk skip=$index count=1 status=none
            same wanted piece
        else
            grep -q 'Input/output error' dd.err || fail "$kind: $(cat dd.err)"
            bad="$bad $index"
        fi
    done
    case $bad in
    ' '[0-7]) ;;
    *) fail "$kind: unreadable chunks: '$bad'" ;;
    esac
    messages b >log
    grep -e "${victim##*/}" log | grep -e 'disk\.img' | grep -q -e "chunk${bad}\\b" ||
        fail "$kind: no line with file, chunk and id: $(cat log)"
    umount_at site_b n
    if [ "$kind" = folder ]; then
        rmdir "$victim"
    fi
done

cp good restored
rm -rf "$victim"
mv restored "$victim"
mount_at site_b vm n
same disk.img n/disk.img
umount_at site_b n
