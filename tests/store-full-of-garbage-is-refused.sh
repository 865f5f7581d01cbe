#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Whoever keeps the store may put anything there: nothing crashes, nothing hangs, nothing is shown.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

text_file disk.img 3000000
random_file vm.conf 5000
new_parcel vm disk.img vm.conf
find "$home/chunks" -type f >objects
cp -R "$home" good

# Each object in turn is another one of the same store: wrong kinds, loops, roots below themselves.
all=$(wc -l <objects)
n=0
while IFS= read -r object; do
    n=$((n + 1))
    for other in "$(sed -n "$((n % all + 1))p" objects)" "$(sed -n 1p objects)"; do
        [ "$other" != "$object" ] || continue
        cat "good/${other#"$home/"}" >"$object"
        status=0
        timeout 60 env ISR_HOME="$tmp/b" isr export vm disk.img out >/dev/null 2>"$said" || status=$?
        case $status in
        0) same disk.img out ;;
        1 | 5) [ ! -e out ] || fail 'an output file was left' ;;
        *) fail "exit $status: $(cat "$said")" ;;
        esac
        rm -f out
        cat "good/${object#"$home/"}" >"$object"
    done
done <objects

# All of it is noise that begins like an object.
while IFS= read -r object; do
    {
        head -c 8 "good/${object#"$home/"}"
        head -c 20000 /dev/urandom
    } >"$object"
done <objects
fails 5 site_b isrfs vm n
says vm
fails 5 site_b isr verify --all vm
[ -z "$(holder vm)" ] || fail 'the lock is kept'
