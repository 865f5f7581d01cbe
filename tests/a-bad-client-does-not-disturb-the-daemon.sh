#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Whoever says nothing, too much, or nonsense on the daemon's socket, or does not listen, is dropped
# or told so; others are served, and the socket is for this user only.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires perl

random_file disk.img 300000
new_parcel vm disk.img
mount_at site_a vm m
state=$(jq -r .state_path m/.isrfs/status)
[ "$(stat -c '%a %F' "$state/control")" = '600 socket' ] || fail 'its mode is not 0600'
cat >bad.pl <<'END'
use strict;
use Socket;
chdir $ARGV[0] or die;
sub client {
    socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
    connect($s, sockaddr_un("control")) or die "connect: $!";
    return $s;
}
sub answer { my ($s) = @_; local $/; return <$s> // ""; }
$SIG{PIPE} = "IGNORE";
$SIG{ALRM} = sub { die "no end" };
alarm 60;
my @silent = map { client() } 1 .. 5;      # never say anything
my $long = client();
syswrite($long, "x" x 4000) for 1 .. 3;    # no line at all
answer($long) eq "" or die "a line without an end was answered";
my $odd = client();
syswrite($odd, "status and more\n");
answer($odd) =~ /"outcome":2/ or die "nonsense was not refused";
my $binary = client();
syswrite($binary, "\0\xff\xfe\n");
answer($binary) =~ /^$|"outcome":2/ or die "bytes were answered";
my $deaf = client();
syswrite($deaf, "status\n");               # and never reads
for (1 .. 40) { my $gone = client(); syswrite($gone, "status\n"); close $gone }
my $good = client();
syswrite($good, "status\n");
my $said = answer($good);
$said =~ /"state":"mounted"/ && $said =~ /"outcome":0/ or die "no status: $said";
END
perl bad.pl "$state" || fail 'see above'
same disk.img m/disk.img
site_a isr checkpoint vm
umount_at site_a m
