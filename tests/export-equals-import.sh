#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What goes in comes out: real files of several kinds, with each chunk size and each compressor.
. "$abs_top_srcdir/tests/functions.sh"
requires jq

real_image disk.raw
random_file random 1234567
text_file text 3456789
truncate -s 10M holes
printf 'x' | dd of=holes bs=1 seek=5000000 conv=notrunc status=none
printf 'y' >one-byte
mkdir -p a/
n=0
for compression in none zlib zstd; do
    for chunk_size in 16384 131072 4194304; do
        n=$((n + 1))
        printf 'COMPRESSION:=%s\n' "$compression" >a/isr.conf
        site_a isr import --src "FILE://$home" --chunk-size "$chunk_size" "vm$n" \
            disk.img=disk.raw random text holes one-byte
        for name in random text holes one-byte; do
            site_b isr export "vm$n" "$name" "$name.out"
            same "$name" "$name.out"
            rm "$name.out"
        done
        site_b isr export "vm$n" disk.img - | cmp - disk.raw || fail 'the disk differs'
    done
done
site_b isr export vm1 holes out
[ "$(stat -c %b out)" -lt 2000 ] || fail 'the holes are gone'
printf 'mine\n' >mine
fails 1 site_b isr export vm1 text mine
[ "$(cat mine)" = mine ] || fail 'a file was overwritten'
site_b isr ls >list
[ "$(grep -c '^vm[1-9]\b' list)" -eq 9 ] || fail "ls: $(cat list)"
