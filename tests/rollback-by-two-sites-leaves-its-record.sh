#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A site goes back to an old version, its lock is broken in the middle of that, and another goes back
# to the same version: the one is refused, and the record at home of what the other has published is
# there. Without the other, no record of the refused version is left.
. "$abs_top_srcdir/tests/functions.sh"
requires jq

random_file disk.img 300000
new_parcel vm disk.img
site_a isr resize vm disk.img 1M

# meanwhile LINE...: what happens before the lock server hears of site A's rollback.
meanwhile() {
    {
        printf '%s\n' '#!/bin/sh' "export PATH='$PATH' ISR_HOME='$tmp/b' ISR_LIBEXEC='$real_libexec'" \
            "export ISR_LOCKSRV='$ISR_LOCKSRV'"
        printf '%s </dev/null >/dev/null 2>&1\n' "$@"
        printf "exec '%s' \"\$@\"\n" "$real_libexec/lockserver/isr_rollback"
    } | replace_command isr_rollback
}
records() {
    find "$home/versions" -type f -name "$1-*" | wc -l
}

meanwhile 'isr break-lock --yes vm' 'isr rollback vm 1'
fails 3 env ISR_LIBEXEC="$tmp/libexec" ISR_HOME="$tmp/a" isr rollback vm 1
says 'vm: .*lock'
site_b isr history --json vm | jq -e 'map(.version) == [1, 2, 3]' || fail 'not published once'
[ "$(records 3)" -eq 1 ] || fail 'the version that was published has no record'

# While the other is at it still, it stays too; and with nobody there it goes.
meanwhile 'isr break-lock --yes vm' 'isr co vm'
fails 3 env ISR_LIBEXEC="$tmp/libexec" ISR_HOME="$tmp/a" isr rollback vm 2
[ "$(records 4)" -eq 1 ] || fail 'the other may be about to publish the same'
site_b isr rollback vm 2
site_b isr ci vm
[ "$(records 4)" -eq 1 ] || fail 'the version that was published has no record'
meanwhile 'isr break-lock --yes vm'
fails 3 env ISR_LIBEXEC="$tmp/libexec" ISR_HOME="$tmp/a" isr rollback vm 3
[ "$(records 5)" -eq 0 ] || fail 'a record of the refused version is left'

# The site that was refused has nothing of its own, and can go on.
site_a isr rollback vm 3
[ "$(version_of vm)" -eq 5 ] || fail 'it cannot go on'
[ "$(records 5)" -eq 1 ] || fail 'no record'
site_a isr verify --all vm
