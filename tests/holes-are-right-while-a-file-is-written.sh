#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# SEEK_DATA finds what was written a moment ago, which only the kernel has yet: a copy made by holes
# misses nothing. Older kernels may refuse to tell of holes (EINVAL), never hide data.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires perl

random_file disk.img 300000
new_parcel vm disk.img
mount_at site_a vm m
cat >walk.pl <<'END'
use strict;
use Fcntl;
sysopen(my $file, "m/sparse", O_RDWR | O_CREAT) or die "open: $!";
srand(4);
my (%written, $size);
my $told = 0;
for my $step (1 .. 300) {
    if ($step % 2) {
        my $at = int(rand(400 << 20));
        sysseek($file, $at, 0);
        syswrite($file, "x" x 5000) == 5000 or die "write: $!";
        $written{$_} = 1 for ($at >> 12) .. (($at + 4999) >> 12);
        $size = $at + 5000 if !defined $size || $at + 5000 > $size;
        next;
    }
    my $from = int(rand($size));
    my $data = sysseek($file, $from, 3);
    next if !defined $data && $!{EINVAL};
    die "SEEK_DATA: $!" if !defined $data && !$!{ENXIO};
    $data = $size if !defined $data;
    for my $block (keys %written) {
        my $at = $block << 12;
        die "$from: data at $at is hidden (next data at $data)"
            if $at >= $from && $at + 4096 <= $data;
    }
    my $hole = sysseek($file, $from, 4);
    next if !defined $hole && $!{EINVAL};
    die "SEEK_HOLE: $!" if !defined $hole;
    die "$from: no hole at $hole" if $hole < $size && $written{$hole >> 12};
    $told++;
}
print "$told holes\n";
END
perl walk.pl >walked || fail 'a hole hides data'
cp --sparse=always m/sparse sparse
same m/sparse sparse
umount_at site_a m
