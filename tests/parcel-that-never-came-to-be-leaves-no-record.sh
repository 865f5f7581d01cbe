#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr import` and `isr clone` are killed when the new parcel's record lies at home and the lock server
# has not heard of it, or has: what never came to be loses its record when one of them, `isr prune` or
# `isr rm` is run here an hour later; what did come to be keeps it.
. "$abs_top_srcdir/tests/functions.sh"
requires jq

# deadly COMMAND before|after: from now on, whoever calls this command of the lock server is killed.
real=$ISR_LIBEXEC
deadly() {
    rm -rf libexec
    mkdir -p libexec/lockserver
    for file in "$real"/*; do
        [ "${file##*/}" = lockserver ] || ln -s "$file" libexec/
    done
    cp "$real"/lockserver/* libexec/lockserver/
    {
        printf '#!/bin/sh\n'
        [ "$2" = before ] || printf "'%s' \"\$@\" >/dev/null\n" "$real/lockserver/$1"
        # shellcheck disable=SC2016 # for that shell
        printf 'kill -s KILL $PPID\n'
    } >"libexec/lockserver/$1"
    ISR_LIBEXEC=$tmp/libexec
}
# killed COMMAND...
killed() {
    status=0
    site_a "$@" >/dev/null 2>&1 || status=$?
    ISR_LIBEXEC=$real
    [ "$status" -eq 137 ] || fail "status $status instead of 137 from $*"
}
# an_hour_later: the notes of this site say so.
an_hour_later() {
    sed -i "s/^TIME:=.*/TIME:=$(($(date +%s) - 3700))/" a/begun/*
}
# recorded NUMBER: so many parcels have records at home, those that there are among them.
recorded() {
    find "$home/versions" -name '1-*' | sed 's|.*/\([0-9a-f]*\)/1-.*|\1|' | sort >records
    [ "$(wc -l <records)" -eq "$1" ] || fail "$(wc -l <records) parcels have records, not $1"
    sed -n 's/^UUID:=//p' "$ISR_LOCKSRV"/*/parcels/*/parcel.cfg | sort >uuids
    [ -z "$(comm -13 records uuids)" ] || fail 'a parcel has lost its record'
}

random_file disk.img 300000
random_file other.img 300000
new_parcel vm disk.img
recorded 1

deadly isr_create_parcel before
killed isr import --src "FILE://$home" other other.img
recorded 2
# The request might still be on its way to the lock server.
new_parcel other other.img
recorded 3
an_hour_later
site_b isr clone vm from-b >out
recorded 4
site_a isr clone vm one >out 2>"$said"
grep -q 'other was begun at this site and never came to be' "$said" || fail "$(cat "$said")"
recorded 4

deadly isr_clone_parcel before
killed isr clone vm two
recorded 5
site_a isr prune --keep 1 vm >out
recorded 5
an_hour_later
site_a isr prune --keep 1 vm >out 2>&1
recorded 4

# It came to be, and the answer did not arrive.
deadly isr_clone_parcel after
killed isr clone vm three
recorded 5
an_hour_later
site_a isr rm --yes one >out 2>&1
recorded 4
site_a isr verify three >out
fails 1 site_a isr clone vm three
recorded 4
[ -z "$(ls a/begun)" ] || fail "notes are left: $(ls a/begun)"

# Refused: nothing is left either.
fails 1 site_a isr clone vm other
recorded 4
[ -z "$(ls a/begun)" ] || fail "notes are left: $(ls a/begun)"

# A note that says so of a parcel with other versions is not believed.
uuid=$(sed -n 's/^UUID:=//p' "$ISR_LOCKSRV"/*/parcels/vm/parcel.cfg)
site_a isr resize vm disk.img 1M >out 2>&1
catalog=$(find "$home/versions/$uuid" -name '1-*')
deadly isr_clone_parcel before
killed isr clone vm four
note=$(ls a/begun)
sed "s/^CATALOG:=.*/CATALOG:=${catalog##*-}/; s/^PARCEL:=.*/PARCEL:=gone/" "a/begun/$note" >"a/begun/$uuid"
an_hour_later
site_a isr clone vm five >out 2>&1
recorded 5
[ -e "$catalog" ] || fail 'the record of a parcel that lives was removed'
