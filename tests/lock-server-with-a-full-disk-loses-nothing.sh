#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The lock server's disk is full, or becomes so between any two writes of a command that changes
# something: it is done, or it fails and says in one line what cannot be written. What is read then is
# the state of before or of after, while the disk is full and later, and the command said again when
# there is room ends as if nothing had been.
# shellcheck source=tests/lock-functions.sh
. "${0%/*}/lock-functions.sh"
# shellcheck source=tests/lock-scenarios.sh
. "${0%/*}/lock-scenarios.sh"

disk=$tmp/disk
mkdir "$disk"
trap 'umount "$disk" 2>/dev/null; rm -rf -- "$tmp"' EXIT
mount -t tmpfs -o size=512k,nr_inodes=150,mode=700 tmpfs "$disk" 2>/dev/null || {
    printf 'SKIP: cannot mount a small file system (only root can)\n'
    exit 77
}
ISR_LOCKSRV_ROOT=$disk/root
keys=$ISR_LOCKSRV_ROOT/.ssh/authorized_keys

# fill: until not a byte and not a file more goes in.
fill()
{
    dd if=/dev/zero of="$disk/filler" bs=4096 2>/dev/null && fail 'it was not filled'
    fill_files 0
}

# fill_pages ROOM, fill_files ROOM: until no more than so many pages of 4 KiB, or files, are free.
fill_pages()
{
    dd if=/dev/zero of="$disk/filler" bs=4096 2>/dev/null && fail 'it was not filled'
    truncate -s "$(($(stat -c %s "$disk/filler") - $1 * 4096))" "$disk/filler"
}
fill_files()
{
    mkdir -p "$disk/files"
    free=$(stat -f -c %d "$disk")
    while [ "$free" -gt "$1" ]; do
        : >"$disk/files/$free"
        free=$((free - 1))
    done
}

# Copies of the commands whose flushes count down, and then fill the disk. They flush before and after
# each rename, so this is between any two writes.
mkdir "$tmp/bin" "$tmp/filling" "$tmp/admin"
cp "$scripts"/* "$tmp/filling"
cp "${abs_top_srcdir:?}/scripts/isr_admin" "$tmp/isr_admin"
sed "s|^PATH=|PATH=$tmp/bin:|" "$tmp/isr_admin" >"$tmp/isr_admin.filling"
sed -i "s|^PATH=|PATH=$tmp/bin:|" "$tmp/filling/isr_functions"
for file in filling/isr_functions isr_admin.filling; do
    grep -q "^PATH=$tmp/bin:/usr/" "$tmp/$file" || fail 'PATH is not where it was'
done
cat >"$tmp/bin/sync" <<EOF
#!/bin/sh
PATH=/usr/bin:/bin
read -r left <"$tmp/left"
left=\$((left - 1))
echo \$left >"$tmp/left"
if [ \$left -eq 0 ]; then
    dd if=/dev/zero of="$disk/filler" bs=4096 2>/dev/null
    while { command : >"$disk/files.\$left"; } 2>/dev/null; do
        left=\$((left + 1))
    done
    [ ! -e "$tmp/flush-fails" ] || exit 1
fi
exec sync "\$@"
EOF
printf '#!/bin/sh\nexec "%s" "%s"\n' "$tmp/bin/sync" "$tmp/left" >"$tmp/flush"
cat >"$tmp/isr-keep.filling" <<EOF
#!/bin/sh
ISR_KEEP_FLUSH=$tmp/flush
export ISR_KEEP_FLUSH
exec "$abs_top_builddir/tests/isr_keep_killed" "\$@"
EOF
chmod +x "$tmp/bin/sync" "$tmp/flush" "$tmp/isr-keep.filling"
ln -s isr-keep.filling "$tmp/isr-keep"
ln -s "$abs_top_builddir/lockclient/isr-look" "$tmp/isr-look"
ln -s "$abs_top_builddir/lockclient/isr-look" "$tmp/admin/isr-look"
whole=$scripts

# use whole|filling: these commands from now on. isr_admin is always at the same place, for it writes
# its own path into the file of keys.
use()
{
    case $1 in
    whole) scripts=$whole from=$tmp/isr_admin keep=$abs_top_builddir/lockclient/isr-keep ;;
    filling) scripts=$tmp/filling from=$tmp/isr_admin.filling keep=$tmp/isr-keep.filling ;;
    esac
    ln -sfn "$keep" "$tmp/admin/isr-keep"
    ln -sfn "$scripts" "$tmp/admin/lockserver"
    cp "$from" "$tmp/admin/isr_admin"
}
ln -s "${abs_top_builddir:?}/isrfs/cmd/isr-seal" "$tmp/admin/isr-seal"
use whole

# admin WORD...: isr_admin with this test's standard input; sets status, out and err.
admin()
{
    command=isr_admin
    status=0
    out=$("$tmp/admin/isr_admin" "$ISR_LOCKSRV_ROOT" "$@" 2>"$tmp/err") || status=$?
    err=$(cat "$tmp/err")
}

make_room()
{
    rm -rf "$disk/filler" "$disk/files" "$disk"/files.*
}

# fatten: makes the files that grow longer than a page, and has the next line of audit not fit into the
# page that it begins in.
fatten()
{
    for nonces in "$ISR_LOCKSRV_ROOT"/ann/parcels/*/nonces; do
        [ -f "$nonces" ] || continue
        seq -f "16000000%02.0f-1-1-$hex32 released - 1600000000" 10 99 >>"$nonces"
    done
    audit=$ISR_LOCKSRV_ROOT/ann/audit
    [ -f "$audit" ] || return 0
    size=$(stat -c %s "$audit")
    printf '1600000000 ann filler - %0*d %s\n' "$((8192 - size % 4096 - 100))" 1 "$hex32$hex32" >>"$audit"
}

# look [ALL]: what can be read without writing anything (with ALL also what needs the lock), but times.
look()
{
    for parcel in vm new other; do
        lock isr_history ann "$parcel" </dev/null
        printf '%s history: %s\n' "$parcel" "$status"
        [ -z "$out" ] || printf '%s\n' "$out" | cut -d ' ' -f 1,3-
        lock isr_cat_parcel_cfg ann "$parcel" </dev/null
        # The epoch of a restored backup is the time.
        printf '%s cfg: %s %s\n' "$parcel" "$status" "$out" | sed 's/^EPOCH:=.\{10,\}/EPOCH:=new/'
    done
    if [ "$1" = all ]; then
        lock isr_list_parcel ann </dev/null
        expect 0
        printf '%s\n' "$out" | cut -d ' ' -f 1,2,4-
        lock isr_list_forgotten ann </dev/null
        expect 0
        printf '%s\n' "$out"
    fi
    [ ! -f "$keys" ] || grep '^restrict,command=' "$keys"
}

# is_old_or_new WHEN WHAT: what is to be read now is what was there before, or what is there after.
is_old_or_new()
{
    # These are two renames and more; they are ended by saying them again.
    case $name-$how in
    userremove-'full at flush '* | import-'full at flush '*) return 0 ;;
    esac
    look "$2" >"$tmp/now"
    cmp -s "$tmp/now" "$tmp/before.$2" || cmp -s "$tmp/now" "$tmp/after.$2" ||
        fail "$name, $how, $1: after '$said' neither the old state nor the new: $(cat "$tmp/now")"
}

# full HOW: do_$name has been run with the disk full or filled; then it is run again with room.
full()
{
    how=$1
    case $status in
    0) ;;
    1)
        failed=$((failed + 1))
        expect 1
        case $err in
        *cannot*) ;;
        *) fail "$name, $how: it does not say what cannot be done" ;;
        esac
        ;;
    *) fail "$name, $how: status $status" ;;
    esac
    had=$status said=$err
    is_old_or_new 'while it is full' some
    make_room
    is_old_or_new 'with room' all
    "between_$name"
    "do_$name"
    "end_$name"
}

start_again()
{
    rm -rf "$ISR_LOCKSRV_ROOT"
    make_room
    cp -a "$tmp/start" "$ISR_LOCKSRV_ROOT"
}

full_at_each_flush()
{
    step=0 left=0
    while [ "$left" -le 0 ]; do
        step=$((step + 1)) runs=$((runs + 1))
        [ "$step" -lt 60 ] || fail "$name never ends"
        start_again
        echo "$step" >"$tmp/left"
        use filling
        "do_$name"
        use whole
        full "$1 $step"
        read -r left <"$tmp/left"
    done
}

# full_everywhere NAME: first there is room for nothing, then for more and more; then the disk gets
# full in the middle.
full_everywhere()
{
    name=$1
    failed=0 runs=0
    rm -rf "$ISR_LOCKSRV_ROOT" "$tmp/start"
    mkdir "$ISR_LOCKSRV_ROOT"
    "prepare_$name"
    fatten
    cp -a "$ISR_LOCKSRV_ROOT" "$tmp/start"
    look some >"$tmp/before.some"
    look all >"$tmp/before.all"
    "do_$name"
    [ "$status" -eq 0 ] || fail "$name"
    look some >"$tmp/after.some"
    look all >"$tmp/after.all"

    for what in pages files; do
        room=0 had=1 more=1
        [ "$name" != import ] || more=3 # which is slow: it has a key derived
        while [ "$had" -ne 0 ]; do
            room=$((room + more)) runs=$((runs + 1))
            [ "$room" -lt 60 ] || fail "$name: it never has room enough"
            start_again
            "fill_$what" "$((room - more))"
            "do_$name"
            full "room for $((room - more)) $what"
        done
    done
    # Some file systems know only when they flush that they are full. (What is left then differs from
    # when the next write fails by little: a few are enough.)
    : >"$tmp/flush-fails"
    full_at_each_flush 'full at flush'
    rm "$tmp/flush-fails"
    case $name in
    checkin | rekey) full_at_each_flush 'full behind flush' ;;
    esac
    [ "$failed" -ge 1 ] || fail "$name: the disk was never full"
    printf '%s: %s runs, %s failed\n' "$name" "$runs" "$failed"
}

# What the other test has elsewhere.
prepare_rekey()
{
    create vm "$key_a"
    acquire vm "$one"
    publish vm "$one" 1 "$key_b"
}
do_rekey() { rekey "$one" 2 "$key_c" release; }
between_rekey() { :; }
end_rekey()
{
    expect 0 VERSION:=3
    lock isr_cat_parcel_cfg ann vm </dev/null
    expect 0 "UUID:=$new_uuid" VERSION:=3
    lock isr_cat_keyroot ann vm </dev/null
    expect 0 "KEYROOT:=$key_c" "SECRET:=$new_secret"
    acquire vm "$(nonce 7 3)"
    expect 0 VERSION:=3
}

words=$(printf '%032d' 5)
prepare_recover() { :; }
do_recover() { recover vm 9 "$words"; }
between_recover() { :; }
end_recover()
{
    expect 0 VERSION:=9
    lock isr_cat_keyroot ann vm 9 </dev/null
    expect 0 "KEYROOT:=$key_a" "RECOVERY:=$words"
    acquire vm "$(nonce 7 9)"
    expect 0 VERSION:=9
}

# A line that would begin in one page and end in the next.
prepare_event()
{
    create vm "$key_a"
    head -c 4084 /dev/zero | tr '\0' x >"$ISR_LOCKSRV_ROOT/ann/events"
    echo >>"$ISR_LOCKSRV_ROOT/ann/events"
}
do_event()
{
    lock isr_put_event ann <<EOF
EVENT:=checkin
DATA:=bytes=1
EOF
}
between_event() { :; }
end_event()
{
    expect 0 RECORDED:=1
    ! grep -v -e '^[0-9]* checkin bytes=1$' -e '^x*$' "$ISR_LOCKSRV_ROOT/ann/events" || fail 'a torn line'
}

# Whoever runs the lock server.
for key in one two; do
    ssh-keygen -q -t ed25519 -N '' -C test -f "$tmp/$key" || exit 1
done
printf 'correct horse battery\n' >"$tmp/pass"

prepare_useradd() { :; }
do_useradd() { admin user-add ann; }
between_useradd() { :; }
# What was done before it failed is done.
end_useradd()
{
    case $status-$had-$err in
    0-1-* | 1-*'there is a user ann already') ;;
    *) fail "$how: the user is not added" ;;
    esac
    lock isr_cat_user ann </dev/null
    expect 0 EPOCH:=1
    grep -q ' user-add ' "$ISR_LOCKSRV_ROOT/ann/audit" || fail 'it is not recorded'
}

prepare_keyadd()
{
    admin user-add ann
    admin key-add ann "$tmp/one.pub"
    for filler in $(seq 100); do
        printf 'ssh-ed25519 AAAAnotours%s someone\n' "$filler$hex32"
    done >>"$keys"
}
do_keyadd() { admin key-add ann "$tmp/two.pub"; }
between_keyadd() { :; }
end_keyadd()
{
    expect 0
    [ "$(grep -c '^restrict,command=' "$keys")" -eq 2 ] || fail 'not two keys'
    [ "$(grep -c AAAAnotours "$keys")" -eq 100 ] || fail 'keys that are not ours are lost'
}

prepare_keyremove()
{
    prepare_keyadd
    do_keyadd
    print=$out
}
do_keyremove() { admin key-remove ann "$print"; }
between_keyremove() { :; }
end_keyremove()
{
    case $status-$had in
    0-1 | 4-*) ;;
    *) fail 'the key is not removed' ;;
    esac
    [ "$(grep -c '^restrict,command=' "$keys")" -eq 1 ] || fail 'not one key'
    [ "$(grep -c AAAAnotours "$keys")" -eq 100 ] || fail 'keys that are not ours are lost'
}

prepare_adminbreak() { prepare_checkpoint; }
do_adminbreak() { admin break-lock ann vm --reason lost; }
between_adminbreak() { :; }
end_adminbreak()
{
    case $status-$err in
    0- | 1-*'nobody holds the lock of vm') ;;
    *) fail 'the lock is not broken' ;;
    esac
    lock isr_check_lock ann vm "$one" </dev/null
    expect 0 STATE:=broken
}

prepare_import()
{
    prepare_checkpoint
    "$tmp/admin/isr_admin" "$ISR_LOCKSRV_ROOT" export ann --passphrase-file "$tmp/pass" \
        >"$tmp/backup" || fail 'no backup'
    publish vm "$one" 1 "$key_b"
}
do_import() { admin import ann --replace --passphrase-file "$tmp/pass" <"$tmp/backup"; }
between_import() { :; }
end_import()
{
    expect 0
    lock isr_check_lock ann vm "$one" </dev/null
    expect 0 STATE:=broken
    lock isr_cat_keyroot ann vm </dev/null
    expect 0 "KEYROOT:=$key_a"
    [ ! -e "$ISR_LOCKSRV_ROOT/.import" ] || fail 'what was read is left'
}

prepare_userremove()
{
    prepare_keyadd
    create vm "$key_a"
}
do_userremove() { admin user-remove ann; }
between_userremove() { :; }
end_userremove()
{
    case $status-$had in
    0-1 | 4-*) ;;
    *) fail 'the user is not removed' ;;
    esac
    [ ! -e "$ISR_LOCKSRV_ROOT/ann" ] || fail 'the user is still there'
    [ "$(cat "$ISR_LOCKSRV_ROOT/.removed"/ann-*/parcels/vm/versions | wc -l)" -eq 1 ] ||
        fail 'the records are lost'
    ! grep '^restrict,command=' "$keys" || fail 'a key is left'
}

for name in user create acquire checkpoint checkin handover release break breakone rollback \
    rolledprune clone remove prune rekey recover event useradd keyadd keyremove adminbreak \
    userremove import; do
    full_everywhere "$name"
done
