#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The daemon was killed. `isr status` says so, and the next mount or check-in says in one line what
# it found in the site log, also while the home is away; after a mount that ended in order nothing is
# said. However long the log is, reading it takes little memory.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires perl

line='vm: the last mount ended without a commit; [0-9]* changes in 2 files (.* [kM]B) up to [0-9:]* were recovered from the site log'

random_file disk.img 3000000
random_file new 300000
new_parcel vm disk.img
site_a isrfs vm m 2>said
[ ! -s said ] || fail "a first mount says: $(cat said)"
cp new m/new
dd if=new of=m/disk.img bs=4096 count=3 conv=notrunc,fsync status=none
sync m/new
kill_daemon m
site_a isr status vm >status
grep -q 'the last mount ended without a commit, last written at 20' status ||
    fail "the status is: $(cat status)"
[ "$(site_a isr status --json | jq '.[0].crashed')" = true ] || fail 'no crash in --json'

site_a isrfs vm m 2>said
in_one_line "^isrfs: $line"
same new m/new
site_a isr status --json >status
jq -e '.[0].recovered | .files == 2 and .changes >= 2 and .bytes >= 300000 and .until > 1000000000' \
    status >/dev/null || fail "the status is: $(cat status)"
site_a isr status | grep -q 'recovered after a mount that ended without a commit' ||
    fail 'the status does not say what was recovered'

# Once more, without having been committed since: it is found again, by `isr ci`.
kill_daemon m
site_a isr ci --yes vm 2>said >out
in_one_line "^isr ci: $line"
site_a isr mount vm m 2>said
[ ! -s said ] || fail "a mount after a check-in says: $(cat said)"

# The home is away after a crash: the mount goes on with what is here, and waits for the rest.
pid=$(daemon_pid m)
cat m/disk.img >disk.img
random_file more 100000
cp more m/more
dd if=more of=m/disk.img bs=4096 seek=20 count=3 conv=notrunc,fsync status=none
dd if=more of=disk.img bs=4096 seek=20 count=3 conv=notrunc status=none
sync m/more
kill_daemon m "$pid"
mv "$home" away
site_a isr mount vm m 2>said || fail "no mount while the home is away: $(cat said)"
says "^isrfs: $line"
grep -q 'vm: its home .* is away' said || fail "it is not said that the home is away: $(cat said)"
same more m/more
cp more m/again
dd if=more of=m/disk.img bs=4096 seek=700 count=2 conv=notrunc,fsync status=none
dd if=more of=disk.img bs=4096 seek=700 count=2 conv=notrunc status=none
site_a isr status vm | grep -q 'its home is away since' || fail 'the status does not say so'
cmp disk.img m/disk.img &
reader=$!
timeout 60 sh -c 'until jq -e ".home_away.reads_waiting > 0" m/.isrfs/status >out; do :; done' ||
    fail 'nobody waits for the home'
mv away "$home"
wait $reader || fail 'what needs the home is not read when it is back'
umount_at site_a m
[ -z "$(holder vm)" ] || fail 'it is not checked in'
for file in disk.img more again; do
    site_b isr export vm $file back.$file || fail "no $file"
done
same disk.img back.disk.img
same more back.more
same more back.again

# A long log, of parts of chunks, which nothing makes shorter.
site_a isrfs vm m -o noci
pid=$(daemon_pid m)
truncate -s 400M m/long
perl - m/long <<'END'
use strict;
use IO::Handle;
open my $random, '<', '/dev/urandom' or die;
open my $long, '+<', $ARGV[0] or die;
for my $i (0 .. 1199) {
    sysread($random, my $data, 131072) == 131072 or die;
    sysseek($long, $i * 262144 + $i % 32 * 4096, 0) or die;
    syswrite($long, $data) == 131072 or die;
}
$long->sync or die;
END
log=$(jq .log_bytes m/.isrfs/stats)
[ "$log" -gt 150000000 ] || fail "the log has only $log bytes"
kill_daemon m "$pid"
site_a isrfs vm m -o noci 2>said
in_one_line 'changes in .* were recovered'
used=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB$/\1/p' "/proc/$(daemon_pid m)/status")
printf 'memory: %s kB for %s bytes of log\n' "$used" "$log"
[ "$used" -lt 40000 ] || fail "recovery took $used kB of memory for $log bytes of log"
umount_at site_a m
