# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# shellcheck disable=SC2154 # tmp is of functions.sh
#
# Damage to the site log of the parcel vm, mounted by site A at m, and what is expected of its
# disk.img (the file expected). Source functions.sh first.

# write BLOCK: random bytes, kept by an fsync. keep BLOCK: they are expected.
write() {
    head -c 4096 /dev/urandom >"$tmp/block"
    dd if="$tmp/block" of="$tmp/m/disk.img" bs=4096 seek="$1" conv=notrunc,fsync status=none
}

keep() {
    dd if="$tmp/block" of="$tmp/expected" bs=4096 seek="$1" conv=notrunc status=none
}

# newest_segment: its file.
newest_segment() {
    find "$tmp/a/parcels" -path '*/log/0*' -type f -size +0 | sort | tail -n 1
}

# end_of_log FILE: the last byte that is not zero.
end_of_log() {
    cmp -l -n 60000000 "$1" /dev/zero 2>/dev/null | tail -n 1 | awk '{ print $1 }'
}

# spoil FILE OFFSET: two bytes, one of which is no longer what it was.
spoil() {
    printf '\377' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
    printf '\125' | dd of="$1" bs=1 seek="$(($2 + 1))" conv=notrunc status=none
}
