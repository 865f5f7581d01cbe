#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The home lies on another machine (sshfs), and its connection ends in the middle of a check-in, after
# some requests and in the middle of one: alone, together with that to the lock server, or it hangs.
# Status 6; the lock, the work and the versions stay as they are; isr ci finishes it when the home is
# back, and another site reads exactly what was written.
. "$abs_top_srcdir/tests/functions.sh"
requires_fuse
requires sshfs
sftp_server=/usr/lib/openssh/sftp-server
[ -x "$sftp_server" ] || skip "there is no $sftp_server (Debian package openssh-sftp-server)"
. "$abs_top_srcdir/tests/ssh-functions.sh"
printf 'Subsystem sftp %s\n' "$sftp_server" >"$tmp/sshd_more"
new_key "$ssh/home_key"

# In place of the sftp server, for the home: lets so many bytes of requests through, and then ends, as
# the file `cut-at` says.
cat >serve-home <<END
#!/bin/sh
read -r bytes how <$tmp/cut-at
[ "\$bytes" != all ] || exec $sftp_server
stdbuf -o 0 head -c "\$bytes" | $sftp_server
echo "\$how" >$tmp/was-cut
case \$how in
home) kill -s KILL \$PPID ;;
both) kill -s KILL \$(cat $tmp/sessions) ;;
hang)
    echo \$\$ \$PPID >>$tmp/hung
    kill -s STOP \$PPID
    ;;
esac
END
chmod +x serve-home
start_sshd
printf 'restrict,command="%s" %s\n' "$tmp/serve-home" "$(cat "$ssh/home_key.pub")" \
    >>"$tmp/authorized_keys"
sed "s|^IdentityFile .*|IdentityFile $ssh/home_key|" "$tmp/system-ssh" >"$tmp/home-ssh"
mkdir real "$home"

# home_comes BYTES [HOW]: mounts it for so many bytes of requests, or for all.
home_comes() {
    printf '%s\n' "$*" >cut-at
    rm -f was-cut
    sshfs -F "$tmp/home-ssh" -p "$port" "$account@127.0.0.1:$tmp/real" "$home" ||
        fail 'the home cannot be mounted'
}
home_goes() {
    umount -l "$home" 2>/dev/null || fusermount3 -u -z "$home" 2>/dev/null || :
}
versions() {
    wc -l <"$root/ann/parcels/vm/versions"
}

home_comes all
random_file disk.img 300000
new_parcel vm disk.img
printf 'HOME_TIMEOUT:=5\n' >>a/isr.conf
printf 'SSH_TIMEOUT:=30\n' >>a/isr.conf

for cut in '200000 home' '900000 home' '1800000 home' '2700000 home' '900000 both' '2700000 both' \
    '1500000 hang'; do
    mount_at site_a vm m -o noci
    random_file work 3000000
    cp work m/work
    umount_at site_a m >out 2>&1
    had=$(versions)
    home_goes
    # shellcheck disable=SC2086 # two words
    home_comes $cut
    # Those that serve the home now, and all that come.
    while [ ! -e was-cut ] && [ ! -e ended ]; do
        session_pids >sessions.new
        mv sessions.new sessions
        sleep 0.05
    done &
    watcher=$!
    fails 6 timeout 200 env ISR_HOME="$tmp/a" isr ci vm
    : >ended
    wait "$watcher"
    rm ended
    [ -e was-cut ] || fail "$cut: it was not cut"
    [ "$(versions)" -eq "$had" ] || fail "$cut: a version was published without its objects"
    [ -n "$(holder vm)" ] || fail "$cut: the lock is gone"
    home_goes
    home_comes all
    site_a isr ci vm >out 2>&1 || fail "$cut: it cannot be finished: $(cat out)"
    [ -z "$(holder vm)" ] || fail "$cut: the lock was not given back"
    [ "$(versions)" -eq "$((had + 1))" ] || fail "$cut: $(versions) versions after $had"
    site_b isr verify vm >out || fail "$cut: it is not whole: $(cat out)"
    mount_at site_b vm n
    same work n/work
    umount_at site_b n >out 2>&1
done
home_goes
