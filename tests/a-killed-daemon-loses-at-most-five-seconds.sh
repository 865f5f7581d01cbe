#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Two programs write and sync nothing: one has its new file open, the other changes a file by a
# shared mapping. A few seconds later all of it is in the site log, and there after kill -9. The
# limit here is that of a busy machine; the time is printed.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires perl

random_file disk.img 3000000
new_parcel vm disk.img
random_file written 1000000
mount_at site_a vm m
pid=$(daemon_pid m)
mkfifo orders answers
"$abs_top_builddir/tests/unit/mapped_writer" --unsynced m/disk.img 1048576 mapped \
    <orders >answers &
mapped=$!
exec 3>orders 4<answers
read -r answer <&4
[ "$answer" = written ] || fail "the mapping: $answer"

# The bytes do not compress, so the log's size says when they are there.
# shellcheck disable=SC2016 # these are perl's
perl -MFcntl -MTime::HiRes=time,sleep -e '
    my $pid = shift;
    sub logged {
        open(my $stats, "<", "m/.isrfs/stats") or die "$!";
        return join("", <$stats>) =~ /"log_bytes": (\d+)/ ? $1 : die;
    }
    open(my $from, "<", "written") or die;
    sysread($from, my $bytes, 1e6) == 1e6 or die;
    my ($before, $start) = (logged(), time);
    sysopen(my $to, "m/new", O_WRONLY | O_CREAT) or die;
    syswrite($to, $bytes) == 1e6 or die "$!";
    while (logged() - $before < 2048576) {
        die "after 15 s it is not in the log\n" if time - $start > 15;
        sleep(0.05);
    }
    printf("in the log after %.1f s\n", time - $start);
    @ARGV = glob("/proc/$pid/task/*/children");
    my @children = split(" ", join("", <>));
    kill("KILL", $pid) == 1 or die;
    print("@children\n");
' "$pid" >said-by-perl || fail 'what was written is at risk'
children=$(tail -n 1 said-by-perl)
head -n 1 said-by-perl
wait_gone "$pid"
for child in $children; do
    wait_gone "$child"
done
exec 3>&- 4<&-
wait "$mapped" || fail 'the program with the mapping failed'
unmount_lazily m

mount_at site_a vm m
same written m/new
perl -e '
    open(my $file, "<", "m/disk.img") or die;
    for my $page (0 .. 255) {
        sysread($file, my $bytes, 4096) == 4096 or die;
        $bytes =~ /^mapped $page\n/ or die "page $page is lost\n";
    }
' || fail 'what was written by the mapping is not there'
umount_at site_a m
