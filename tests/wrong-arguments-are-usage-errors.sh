#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Missing or wrong arguments: exit 2 and how it is to be said; nothing is done.
. "$abs_top_srcdir/tests/functions.sh"

random_file disk.img 300000
new_parcel vm disk.img
usage() {
    fails 2 site_a "$@"
    grep -q -i usage "$said" || fail "no usage from: $* ($(cat "$said"))"
}
usage isr
usage isr nosuch
usage isr --nosuch
for command in import export mount umount co ci run history checkpoint verify rollback clone \
    resize prune rm break-lock; do
    usage isr "$command"
    usage isr "$command" --nosuch vm
    usage isr "$command" --parcel
done
for command in ls status; do
    usage isr "$command" --nosuch
done
usage isr import vm
usage isr import --src
usage isr import --chunk-size 100000 vm disk.img
usage isr import --chunk-size x vm disk.img
usage isr export vm
usage isr export vm disk.img
usage isr export vm disk.img out more
usage isr mount vm
usage isr mount vm m n
usage isr co vm vm
usage isr rollback vm
usage isr rollback vm 1 2
usage isr clone vm
usage isr resize vm disk.img
usage isr resize vm disk.img 1M more
usage isr rm vm vm
usage isr rm vm@1
usage isr break-lock vm stolen
usage isrfs
usage isrfs vm
usage isrfs vm m n
usage isrfs vm m -o
usage isrfs --nosuch vm m
for name in ../vm '' a/b '-rf' 'v m' "$(printf 'v\nm')" .hidden; do
    usage isrfs "$name" m
    usage isr co -- "$name"
done
for command in import export ls mount umount co ci run status history checkpoint verify rollback \
    clone resize prune rm break-lock; do
    site_a isr "$command" --help >out || fail "no help for $command"
    grep -q "isr $command" out || fail "the help for $command does not show it"
done
site_a isr --help >out
site_a isr --version | grep -q '[0-9]' || fail 'no version'
site_a isrfs --version | grep -q '[0-9]' || fail 'no version'
[ -z "$(holder vm)" ] || fail 'a lock is held'
