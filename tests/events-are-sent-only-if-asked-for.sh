#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# With EVENTS:=yes a check-out, a checkpoint and a check-in leave a line of numbers each at the lock
# server; without it nothing. A lock server that takes no events, or never answers, neither fails nor
# delays a command.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse

random_file disk.img 300000
new_parcel vm disk.img
events=$(dirname "$(find locksrv -name audit)")/events
round() {
    site_a isr co vm
    mount_at site_a vm m
    random_file m/file 500000
    site_a isr checkpoint vm >out
    random_file m/file 400000
    umount_at site_a m >out
}
round
[ ! -e "$events" ] || fail 'events were sent by themselves'
printf 'EVENTS:=perhaps\n' >a/isr.conf
site_a isr co vm 2>"$said"
in_one_line 'EVENTS is yes or no'
site_a isr ci vm 2>/dev/null
[ ! -e "$events" ] || fail 'events were sent'

printf 'EVENTS:=yes\n' >a/isr.conf
round
for event in checkout checkpoint checkin; do
    wait_for_line "$events" "^[0-9]* $event ms=[0-9]"
done
wait_for_line "$events" ' checkin ms=[0-9]*,objects=[1-9][0-9]*,bytes=4[0-9]\{5\},changed=1$'
wait_for_line "$events" ' checkpoint ms=[0-9]*,objects=[1-9][0-9]*,bytes=5[0-9]\{5\},changed=1$'
[ "$(wc -l <"$events")" -eq 3 ] || fail "not three lines: $(cat "$events")"
! grep -v '^[0-9]* [a-z]* [a-z=0-9,]*$' "$events" || fail 'more than words and numbers'

# A lock server whose command says that it has begun, and then ends when it is told to.
real=$ISR_LIBEXEC
mkdir libexec libexec/lockserver
for file in "$real"/*; do
    [ "${file##*/}" = lockserver ] || ln -s "$file" libexec/
done
cp "$real"/lockserver/* libexec/lockserver/
mkfifo go
printf '#!/bin/sh\necho begun >>%s/begun\nread -r line <%s/go\nexit 1\n' "$tmp" "$tmp" \
    >libexec/lockserver/isr_put_event
ISR_LIBEXEC=$tmp/libexec
timeout 120 env ISR_HOME="$tmp/a" isr co vm >out 2>&1 || fail "not checked out: $(cat out)"
timeout 120 env ISR_HOME="$tmp/a" isr ci vm >out 2>&1 || fail "not checked in: $(cat out)"
[ -z "$(holder vm)" ] || fail 'the lock is held'
# Both have begun, and wait.
timeout 60 tail -n +1 -f begun | sed -n 2q
[ "$(wc -l <begun)" -eq 2 ] || fail 'they were not begun'
timeout 60 sh -c 'printf "\n\n" >go' || fail 'nobody waits any more'
rm -rf libexec
ISR_LIBEXEC=$real
[ "$(wc -l <"$events")" -eq 3 ] || fail "not three lines: $(cat "$events")"
