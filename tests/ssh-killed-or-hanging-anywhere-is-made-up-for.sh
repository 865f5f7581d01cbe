#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The connection to the lock server ends, or stops answering, before or after any of the commands of
# a check-out and of a check-in has run there: status 6, and isr co or isr ci finishes it later. Then
# the history has exactly the versions that it should have, and the lock is given back.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
. "$abs_top_srcdir/tests/ssh-functions.sh"
start_sshd
set_up_site "$tmp/a" 120

# Stands before isr_shell, and does HOW instead of (before) or behind (after) command number AT.
cat >wrapper <<END
#!/bin/sh
read -r count <$tmp/count
count=\$((count + 1))
echo "\$count" >$tmp/count
read -r at how <$tmp/fault
[ "\$count" = "\$at" ] || exec $libexec/isr_shell --user ann --root $root
case \$how in
*-after) $libexec/isr_shell --user ann --root $root >/dev/null 2>&1 ;;
esac
case \$how in
kill-*) kill -s KILL \$PPID ;;
hang-*)
    echo \$\$ \$PPID >>$tmp/hung
    kill -s STOP \$PPID
    exec sleep 1000 9>&-
    ;;
esac
END
chmod +x wrapper
echo 0 none >fault
echo 0 >count
let_in "exec $tmp/wrapper"

# fault AT HOW: from the next command on.
fault() {
    echo "$1 $2" >fault
    echo 0 >count
    case $2 in
    hang-*) set_up_site "$tmp/a" 5 ;;
    *) set_up_site "$tmp/a" 120 ;;
    esac
}

# disturbed COMMAND...: with the fault set it ends with 6, or with 0 if it needs fewer commands than
# that; then `reached` is no. (A machine that is busy may reach a limit before the fault.)
disturbed() {
    status=0
    timeout 100 env ISR_HOME="$tmp/a" "$@" >out 2>&1 || status=$?
    reached=no
    [ "$(cat count)" -lt "$(cut -d ' ' -f 1 fault)" ] || reached=yes
    case $reached-$status in
    yes-6 | no-0) ;;
    no-6) reached=yes ;;
    *) fail "$*, $(cat fault): status $status: $(cat out)" ;;
    esac
    fault 0 none
}

versions() {
    wc -l <"$root/ann/parcels/vm/versions"
}

random_file disk.img 300000
new_parcel vm disk.img

# each_step PREPARE COMMAND WAY...: disturbs COMMAND at each of its steps, in each way.
each_step() {
    prepare=$1
    command=$2
    shift 2
    for how; do
        at=0
        reached=yes
        while [ "$reached" = yes ]; do
            at=$((at + 1))
            [ "$at" -lt 20 ] || fail "isr $command never ends"
            "$prepare"
            had=$(versions)
            fault "$at" "$how"
            disturbed isr "$command" vm
            [ "$command" = ci ] || site_a isr co vm >out 2>&1 || fail "not checked out again: $(cat out)"
            [ "$reached" = no ] || site_a isr ci vm >out 2>&1 ||
                fail "$command, $how at $at: it cannot be finished: $(cat out)"
            [ -n "$(holder vm)" ] && [ "$command" = co ] && site_a isr ci vm >out 2>&1
            [ -z "$(holder vm)" ] || fail "$command, $how at $at: the lock was not given back"
            [ "$(versions)" -eq "$((had + new))" ] ||
                fail "$command, $how at $at: $(versions) versions instead of $((had + new))"
        done
        [ "$at" -gt 3 ] || fail "isr $command needs $at commands only?"
    done
}

nothing() { :; }
new=0
each_step nothing co kill-before kill-after hang-after

changed() {
    mount_at site_a vm m -o noci
    random_file m/work 100000
    cp m/work work
    umount_at site_a m >out 2>&1
}
new=1
each_step changed ci kill-before kill-after hang-before hang-after
mount_at site_b vm n
same work n/work
umount_at site_b n

check_out() {
    site_a isr co vm >out
}
new=0
each_step check_out ci kill-before kill-after
