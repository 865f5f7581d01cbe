#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# `isr rollback`, `resize`, `prune` and `rm` may be killed just before or just after the lock server
# has done its part: nothing is lost, no version is without its record at home, and saying it again
# (or isr ci, which a rollback or resize that was cut off needs) comes to the same end.
. "$abs_top_srcdir/tests/functions.sh"
requires jq

# deadly COMMAND before|after: from now on, whoever calls this command of the lock server is killed.
deadly() {
    {
        printf '#!/bin/sh\n'
        [ "$2" = before ] || printf "%s '%s' \"\$@\" >/dev/null\n" '' "$real_libexec/lockserver/$1"
        printf 'kill -s KILL $PPID\n'
    } | replace_command "$1"
    ISR_LIBEXEC=$tmp/libexec
}
harmless() {
    ISR_LIBEXEC=$real_libexec
}
# killed COMMAND...
killed() {
    status=0
    site_a "$@" >/dev/null 2>&1 || status=$?
    harmless
    [ "$status" -eq 137 ] || fail "status $status instead of 137 from $*"
}
# versions NUMBER...: these are at the lock server, and have their records at home.
versions() {
    site_b isr history --json vm | jq -r '.[].version' >there
    printf '%s\n' "$@" | cmp - there || fail "versions: $(cat there)"
    uuid=$(sed -n 's/^UUID:=//p' "$ISR_LOCKSRV"/*/parcels/vm/parcel.cfg)
    find "$home/versions/$uuid" -type f -printf '%f\n' | cut -d - -f 1 | sort -n >records
}
recorded() {
    cmp there records || fail "records: $(cat records)"
}

random_file disk.img 300000
new_parcel vm disk.img
for when in before after; do
    deadly isr_publish "$when"
    killed isr resize vm disk.img 1M
    site_a isr ci vm 2>&1 | tee out
    grep -q 'checked in as version' out || fail 'isr ci does not finish it'
    deadly isr_rollback "$when"
    killed isr rollback vm 1
    if [ "$when" = before ]; then
        site_a isr ci vm
    else
        site_a isr rollback vm 1 2>"$said" >out
        grep -q 'nothing to do' out || fail "$(cat out)"
    fi
    [ -z "$(holder vm)" ] || fail 'the lock is kept'
    site_b isr export vm disk.img out.img
    same out.img disk.img
    rm out.img
done
versions 1 2 3 4 5
recorded

for when in before after; do
    deadly isr_clone_parcel "$when"
    killed isr clone vm copy
    site_a isr clone vm "copy$when"
    site_b isr export "copy$when" disk.img out.img
    same out.img disk.img
    rm out.img
done

deadly isr_prune_versions before
killed isr prune vm --keep 3
versions 1 2 3 4 5
recorded
deadly isr_prune_versions after
killed isr prune vm --keep 3
versions 3 4 5
[ "$(wc -l <records)" -eq 5 ] || fail 'nothing is left to be done'
site_b isr prune vm --keep 3
versions 3 4 5
recorded
site_b isr verify --all vm

deadly isr_remove_parcel before
killed isr rm --yes vm
versions 3 4 5
recorded
deadly isr_remove_parcel after
killed isr rm --yes vm
fails 4 site_a isr rm --yes vm
[ "$(find "$home/versions/$uuid" -type f | wc -l)" -eq 3 ] || fail 'nothing is left to be done'
site_b isr prune copy --keep 1
[ -z "$(find "$home/versions/$uuid" -type f)" ] || fail 'records of a removed parcel are left'
site_b isr verify --all copy
site_b isr export copyafter disk.img out.img
same out.img disk.img
