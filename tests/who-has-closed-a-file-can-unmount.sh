#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A file is closed just when the daemon's child process has the kernel hand over what was written to
# it, and keeps it open a little longer: the mount is not busy then. Neither closing nor unmounting
# waits long for a child that hangs, and it does not stay behind.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires perl

mkdir libexec
ln -s "$real_libexec"/* libexec/
rm libexec/isrfs-handover-child
# shellcheck disable=SC2016 # these are perl's
printf '#!%s\n' "$(command -v perl)" >libexec/isrfs-handover-child
cat >>libexec/isrfs-handover-child <<'END'
use Socket;
open(my $socket, "+<&=", 0) or die;
my $request;
while (defined(recv($socket, $request, 8192, 0)) && length($request) > 8) {
    my ($id, $path) = unpack("Q a*", $request);
    open(my $file, "<", "$ARGV[0]/$path") or die if $path eq "slow";
    open(my $told, ">", "$ARGV[0].told") or die;
    next if $path ne "slow";
    select(undef, undef, undef, 0.7);
    close($file);
    send($socket, pack("Q q", $id, 0), 0);
}
END
chmod +x libexec/isrfs-handover-child

random_file disk.img 300000
random_file written 1000000
new_parcel vm disk.img
new_parcel vm2 disk.img

# close_and_unmount DIR FILE: there, when the child has it. Nothing else is started meanwhile: it would
# have a copy of the open file, and close it.
close_and_unmount() {
    # shellcheck disable=SC2016 # these are perl's
    perl -MTime::HiRes=time,sleep -e '
        my ($pid, $dir, $name, $start) = (@ARGV, time);
        open(my $from, "<", "written") or die;
        sysread($from, my $bytes, 1e6) == 1e6 or die;
        open(my $file, ">", "$dir/$name") or die;
        syswrite($file, $bytes) == 1e6 or die;
        until (-e "$dir.told") {
            die "nobody looks after $name\n" if time - $start > 15;
            sleep(0.01);
        }
        @ARGV = glob("/proc/$pid/task/*/children");
        open(my $children, ">", "$dir.children");
        print($children join("\n", split(" ", join("", <>))), "\n");
        my $closing = time;
        close($file) or die "$name: $!";
        my $took = time - $closing;
        system("fusermount3", "-u", $dir) == 0 or die "$name: busy\n";
        printf("%s was closed in %.1f s\n", $name, $took);
        die "that is not when the child is done\n" if $name eq "slow" ? $took < 0.4 : $took > 10;
    ' "$(daemon_pid "$1")" "$1" "$2"
}

ISR_LIBEXEC=$tmp/libexec
mount_at site_a vm m -o noci
mount_at site_a vm2 n -o noci
ISR_LIBEXEC=$real_libexec
m_pid=$(daemon_pid m)
n_pid=$(daemon_pid n)
close_and_unmount n hangs &
hangs=$!
close_and_unmount m slow || fail 'a slow child disturbs'
wait "$hangs" || fail 'a child that hangs disturbs'
wait_gone "$m_pid"
wait_gone "$n_pid"
[ -s m.children ] && [ -s n.children ] || fail 'there was no child process'
cat m.children n.children >children
while read -r child; do
    wait_gone "$child"
done <children
mount_at site_a vm m
mount_at site_a vm2 n
same written m/slow
same written n/hangs
umount_at site_a m
umount_at site_a n
