#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A parcel's qemu.conf cannot name a path, an argument, a command or anything that is not listed.
# shellcheck disable=SC2016
. "$abs_top_srcdir/tests/vmm-functions.sh"

mkdir "$guest"
truncate -s 1M "$guest/disk.img"

# refused TEXT PART: neither probe nor resume takes TEXT as qemu.conf; the one line says PART.
refused() {
    # shellcheck disable=SC2059
    printf "$1" >"$guest/qemu.conf"
    fails 2 hook probe
    in_one_line "$2"
    fails 1 hook resume
    in_one_line "$2"
    [ ! -e "$ISR_VMM_RUNDIR/pid" ] || fail "something was started by: $1"
}

taken() {
    # shellcheck disable=SC2059
    printf "$1" >"$guest/qemu.conf"
    hook probe || fail "refused: $1"
}

taken ''
taken '# a comment\n\nMACHINE:=pc-q35-7.2\nCPU:=Nehalem-v1\nMEMORY:=2048\nCPUS:=4\nRTC:=localtime\n'
taken 'DISK_FORMAT:=raw\nDISK_BUS:=ide\nVIDEO:=virtio\nNET:=user\nCMDLINE:=root=/dev/vda1 ro a,b@c\n'

refused 'KERNEL:=/etc/shadow\n' 'unknown key KERNEL'
refused 'ACCEL:=kvm\n' 'unknown key ACCEL'
refused 'ARGS:=-drive file=/dev/sda\n' 'unknown key ARGS'
refused 'MACHINE:=pc\n' MACHINE
refused 'MACHINE:=pc-i440fx-7.2,firmware=/etc/shadow\n' MACHINE
refused 'MACHINE:=../../machine\n' MACHINE
refused 'CPU:=qemu64,+vmx\n' CPU
refused 'CPU:=host\n' CPU
refused 'CPU:=-S\n' CPU
refused 'MEMORY:=0\n' MEMORY
refused 'MEMORY:=99999999\n' MEMORY
refused 'MEMORY:=128,mem-path=/etc/shadow\n' MEMORY
refused 'MEMORY:=\n' MEMORY
refused 'CPUS:=256\n' CPUS
refused 'CPUS:=1 -monitor stdio\n' CPUS
refused 'DISK_FORMAT:=qcow2\n' DISK_FORMAT
refused 'DISK_BUS:=virtio,file=/etc/shadow\n' DISK_BUS
refused 'NET:=tap,script=/bin/sh\n' NET
refused 'VIDEO:=VGA,romfile=/etc/shadow\n' VIDEO
refused 'CMDLINE:=quiet $(reboot)\n' CMDLINE
refused 'CMDLINE:=quiet `reboot`\n' CMDLINE
refused 'CMDLINE:=quiet;"reboot"\n' CMDLINE
refused 'CMDLINE:=a\\\\b\n' CMDLINE
refused "CMDLINE:=$(printf '%0513d' 0)\\n" CMDLINE
refused 'MEMORY:=128\nMEMORY:=256\n' twice
refused 'MEMORY=128\n' KEY:=value
refused 'MEMORY:=128\000\n' qemu.conf
refused 'MEMORY:=128\033[2J\n' qemu.conf
refused "$(printf '%070000d' 0)" qemu.conf

# Nor can a link lead it to a file of the site.
taken ''
rm "$guest/disk.img"
ln -s /etc/passwd "$guest/disk.img"
fails 2 hook probe
in_one_line disk.img
