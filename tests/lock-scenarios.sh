# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are set for, and by, the tests
# What is done to a lock server, each thing as four functions: prepare_NAME makes the state before,
# do_NAME is one command, between_NAME is what another site may do when the command was cut off, and
# end_NAME says what must be there when the command has been said again. After lock-functions.sh.

one=$(nonce 1)
two=$(nonce 2 2)

prepare_user() { :; }
do_user() { lock isr_cat_user ann </dev/null; }
between_user() { :; }
end_user()
{
    expect 0 EPOCH:=1
    first=$out
    do_user
    [ "$out" = "$first" ] || fail 'the secret changed'
}

prepare_create() { lock isr_cat_user ann </dev/null; }
do_create() { create vm "$key_a"; }
between_create() { :; }
end_create()
{
    expect 0 VERSION:=1
    lock isr_cat_keyroot ann vm </dev/null
    expect 0 "KEYROOT:=$key_a"
    lock isr_cat_parcel_cfg ann vm </dev/null
    expect 0 "UUID:=$hex32" SRC:=FILE:///srv/x%20y "STORE:=$hex32"
}

prepare_acquire() { create vm "$key_a"; }
do_acquire() { acquire vm "$one"; }
between_acquire() { :; }
end_acquire()
{
    expect 0 "NONCE:=$one" VERSION:=1
    acquire vm "$(nonce 5)"
    expect 3 HOLDER_SITE:=here:/home/ann
}

prepare_checkpoint()
{
    create vm "$key_a"
    acquire vm "$one"
}
do_checkpoint() { publish vm "$one" 1 "$key_b"; }
between_checkpoint() { :; }
end_checkpoint()
{
    expect 0 VERSION:=2
    lock isr_check_lock ann vm "$one" </dev/null
    expect 0 STATE:=held VERSION:=2
    lock isr_history ann vm </dev/null
    [ "$(printf '%s\n' "$out" | wc -l)" -eq 2 ] || fail 'not two versions'
}

prepare_checkin() { prepare_checkpoint; }
do_checkin() { publish vm "$one" 1 "$key_b" release; }
between_checkin() { :; }
end_checkin()
{
    expect 0 VERSION:=2
    lock isr_check_lock ann vm "$one" </dev/null
    expect 0 STATE:=published VERSION:=2
    lock isr_list_parcel ann </dev/null
    case $out in
    'vm 2 '*' - 1000') ;;
    *) fail 'the lock is still held' ;;
    esac
}

# The same, but another site checks out in between: it gets the lock if, and only if, the version is
# there.
prepare_handover() { prepare_checkpoint; }
do_handover() { publish vm "$one" 1 "$key_b" release; }
between_handover()
{
    lock isr_cat_parcel_cfg ann vm </dev/null
    case $out in
    *VERSION:=2*) other=0 ;;
    *) other=3 ;;
    esac
    acquire vm "$two"
    expect "$other"
}
end_handover()
{
    expect 0 VERSION:=2
    if [ "$other" -ne 0 ]; then
        acquire vm "$two"
        expect 0 VERSION:=2
    fi
    lock isr_check_lock ann vm "$two" </dev/null
    expect 0 STATE:=held
}

prepare_release() { prepare_checkpoint; }
do_release() { lock isr_release_lock ann vm "$one" </dev/null; }
between_release() { :; }
end_release()
{
    expect 0 RELEASED:=1
    lock isr_check_lock ann vm "$one" </dev/null
    expect 0 STATE:=released
    acquire vm "$(nonce 6)"
    expect 0
}

prepare_break() { prepare_checkpoint; }
do_break() { lock isr_break_lock ann vm </dev/null; }
between_break() { :; }
end_break()
{
    expect 0
    lock isr_check_lock ann vm "$one" </dev/null
    expect 0 STATE:=broken
    publish vm "$one" 1 "$key_b"
    expect 3 LOST:=1
}

# What a person does with whole versions.
prepare_rollback()
{
    create vm "$key_d"
    acquire vm "$one"
    publish vm "$one" 1 "$key_b"
}
do_rollback() { rollback vm "$one" 1 2 "$id_d" release; }
between_rollback() { :; }
end_rollback()
{
    expect 0 VERSION:=3
    lock isr_cat_keyroot ann vm </dev/null
    expect 0 "KEYROOT:=$key_d" VERSION:=3
    lock isr_check_lock ann vm "$one" </dev/null
    expect 0 STATE:=published VERSION:=3
    lock isr_history ann vm </dev/null
    [ "$(printf '%s\n' "$out" | wc -l)" -eq 3 ] || fail 'not three versions'
    acquire vm "$(nonce 8 3)"
    expect 0
}

# Another site prunes what is gone back to, as soon as it can.
prepare_rolledprune()
{
    prepare_rollback
    publish vm "$one" 2 "$key_c"
}
do_rolledprune() { rollback vm "$one" 1 3 "$id_d" release; }
between_rolledprune()
{
    lock isr_cat_parcel_cfg ann vm </dev/null
    gone=no
    case $out in
    *VERSION:=4*)
        prune vm 1,2,3
        expect 0
        gone=yes
        ;;
    esac
}
end_rolledprune()
{
    expect 0 VERSION:=4
    lock isr_history ann vm </dev/null
    [ "$gone" = no ] || [ "$(printf '%s\n' "$out" | wc -l)" -eq 1 ] || fail 'not one version'
    lock isr_cat_keyroot ann vm </dev/null
    expect 0 "KEYROOT:=$key_d" VERSION:=4
}

prepare_clone() { create vm "$key_d"; }
do_clone() { clone vm 1 new "$id_d"; }
between_clone() { :; }
end_clone()
{
    expect 0 VERSION:=1
    lock isr_cat_keyroot ann new </dev/null
    expect 0 "KEYROOT:=$key_d"
    lock isr_cat_parcel_cfg ann new </dev/null
    expect 0 "UUID:=$uuid2" SRC:=FILE:///srv/x%20y "STORE:=$hex32"
    lock isr_cat_parcel_cfg ann vm </dev/null
    expect 0 "UUID:=$hex32"
    lock isr_list_parcel ann </dev/null
    [ "$(printf '%s\n' "$out" | wc -l)" -eq 2 ] || fail 'not two parcels'
}

# The name is taken by another parcel in between, if it is free.
uuid3=11111111111111111111111111111111
prepare_remove()
{
    create vm "$key_d"
    clone vm 1 other "$id_d"
}
do_remove() { remove vm; }
between_remove()
{
    clone other 1 vm "$id_d" "$uuid3"
    taken=yes
    [ "$status" -eq 0 ] || taken=no
    [ "$taken" = yes ] || expect 1 EXISTS:=1
}
end_remove()
{
    expect 0 REMOVED:=1
    lock isr_list_forgotten ann </dev/null
    expect 0
    [ "$out" = "$hex32 all" ] || fail "forgotten: $out"
    lock isr_cat_keyroot ann vm </dev/null
    if [ "$taken" = yes ]; then
        expect 0
        remove vm "$uuid3"
        expect 0
    else
        expect 4
    fi
    remove other "$uuid2"
    expect 0
    if grep -rqF "$key_d" "$ISR_LOCKSRV_ROOT"; then
        fail 'the keys of a removed parcel are left'
    fi
    create vm "$key_d" # as from its home, with the uuid that it had
    expect 0 VERSION:=1
    lock isr_list_forgotten ann </dev/null
    case $out in
    *"$hex32 all"*) fail 'a parcel that is there counts as removed' ;;
    esac
    remove vm
    expect 0
    lock isr_list_parcel ann </dev/null
    [ -z "$out" ] || fail 'a removed parcel is listed'
}

numbers()
{
    lock isr_history ann vm </dev/null
    expect 0
    printf '%s\n' "$out" | cut -d ' ' -f 1 | tr '\n' ' '
}
prepare_prune()
{
    prepare_rollback
    publish vm "$one" 2 "$key_c"
    publish vm "$one" 3 "$key_d" release
}
do_prune() { prune vm 1,3; }
between_prune()
{
    case $(numbers) in
    '1 2 3 4 ') known= ;;
    '2 4 ') known="$hex32 1$nl$hex32 3" ;;
    *) fail "half pruned: $(numbers)" ;;
    esac
    lock isr_list_forgotten ann </dev/null
    [ "$out" = "$known" ] || fail "forgotten: $out"
}
end_prune()
{
    expect 0 PRUNED:=1
    [ "$(numbers)" = '2 4 ' ] || fail "left: $(numbers)"
    lock isr_list_forgotten ann </dev/null
    expect 0 "$hex32 1" "$hex32 3"
    lock isr_cat_keyroot ann vm 2 </dev/null
    expect 0 "KEYROOT:=$key_b"
    lock isr_cat_keyroot ann vm </dev/null
    expect 0 "KEYROOT:=$key_d"
}

# The lock that was shown is broken, never that of a site which has come in between.
other=1700000000-2-1-9${hex32#?}
prepare_breakone() { prepare_checkpoint; publish vm "$one" 1 "$key_b"; }
do_breakone() { break_it vm 00000000 stolen; }
between_breakone()
{
    acquire vm "$other"
    came=$status
}
end_breakone()
{
    expect 0 "BROKEN:=$one"
    lock isr_check_lock ann vm "$one" </dev/null
    expect 0 STATE:=broken
    case $out in
    *SESSION*) fail 'a stolen site got its session key' ;;
    esac
    lock isr_check_lock ann vm </dev/null
    case $came in
    0) expect 0 HOLDER:=91234567 ;;
    *) expect 0 HELD:=no ;;
    esac
}
