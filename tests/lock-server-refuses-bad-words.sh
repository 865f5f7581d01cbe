#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Whatever words and messages a client sends, the lock server takes nothing that is not exactly of
# its form, runs none of it, and leaves every file as it was.
# shellcheck disable=SC2016 # what looks like an expansion must not be one
# shellcheck source=tests/lock-functions.sh
. "${0%/*}/lock-functions.sh"

create vm "$key_a"
expect 0
one=$(nonce 1)
acquire vm "$one"
expect 0
: >"$tmp/outside"
mkdir "$ISR_LOCKSRV_ROOT/ann/parcels/.hidden"
cp -a "$ISR_LOCKSRV_ROOT/ann/parcels/vm/versions" "$ISR_LOCKSRV_ROOT/ann/parcels/.hidden"
state()
{
    (cd "$tmp" && find . ! -name err -type f -exec sha256sum {} + | sort -k 2)
}
before=$(state)
cd "$tmp" || exit 1

unchanged()
{
    [ "$(state)" = "$before" ] || fail "$1 changed something"
}

refused()
{
    lock "$@"
    expect 2
}

long=$(printf '%065d' 0)
bad_name()
{
    refused isr_cat_user "$1"
    refused isr_list_parcel "$1"
    refused isr_list_forgotten "$1"
    refused isr_create_parcel ann "$1"
    refused isr_cat_parcel_cfg ann "$1"
    refused isr_cat_keyroot ann "$1"
    refused isr_acquire_lock ann "$1" "$one"
    refused isr_check_lock "$1" vm "$one"
    refused isr_publish "$1" vm "$one"
    refused isr_release_lock ann "$1" "$one"
    refused isr_break_lock ann "$1"
    refused isr_history ann "$1"
    refused isr_rollback ann "$1" "$one" 1
    refused isr_clone_parcel ann "$1" 1 new
    refused isr_clone_parcel ann vm 1 "$1"
    refused isr_remove_parcel ann "$1"
    refused isr_prune_versions ann "$1"
}
for name in '' . .. ../ann .hidden -rf --help -- / /etc a/b 'a b' ' a' 'a ' "a${nl}b" "vm$nl" \
    "${nl}vm" '*' 'v?' '[v]m' 'v*' '$(touch outside2)' '`touch outside2`' 'a;touch outside2' \
    'a|b' 'a&b' 'a>outside' 'a<b' "a'b" 'a"b' 'a\b' '~' '~root' '{a,b}' '!!' '#' 'a%2f' 'ä' \
    '$IFS' "$long"; do
    bad_name "$name" </dev/null
    unchanged "the name '$name'"
done

for nonce in '' x -rf '../x' '*' "$one-" "-$one" "$one " " $one" "$one$nl" "$one;id" "${one}0" \
    "${one%?}" "${one%?}g" "${one%?}A" "0$one" "1-1-$hex32" "1--1-$hex32" "1-1-1-1-$hex32" \
    "1700000000-01-1-$hex32" "1234567890123456-1-1-$hex32" "1-1-1-.*"; do
    for command in isr_acquire_lock isr_check_lock isr_publish isr_release_lock; do
        refused "$command" ann vm "$nonce" </dev/null
    done
    refused isr_rollback ann vm "$nonce" 1 </dev/null
    unchanged "the nonce '$nonce'"
done

# Too few words, too many, unknown ones.
for words in '' 'ann' 'ann vm x' 'ann vm 0x1' 'ann vm -1' 'ann vm 01' 'ann vm 1 2' 'ann vm *' \
    'ann vm 99999999999999999999'; do
    set -f
    # shellcheck disable=SC2086 # several words
    refused isr_cat_keyroot $words </dev/null
    set +f
done
refused isr_cat_user </dev/null
refused isr_cat_user ann vm </dev/null
refused isr_list_parcel ann vm </dev/null
refused isr_create_parcel ann </dev/null
refused isr_cat_parcel_cfg ann vm 1 </dev/null
refused isr_acquire_lock ann vm </dev/null
refused isr_acquire_lock ann vm "$one" more </dev/null
refused isr_publish ann vm "$one" Release </dev/null
refused isr_publish ann vm "$one" release more </dev/null
refused isr_publish ann vm "$one" '' </dev/null
refused isr_break_lock ann vm lost </dev/null
refused isr_break_lock ann vm '' </dev/null
refused isr_history ann </dev/null
refused isr_check_lock ann </dev/null
refused isr_check_lock ann vm "$one" more </dev/null
for version in '' x -1 +1 01 1.0 '*' '1;id' '1 2' "1$nl" 1234567890123456; do
    refused isr_rollback ann vm "$one" "$version" </dev/null
    refused isr_clone_parcel ann vm "$version" new </dev/null
done
refused isr_rollback ann vm "$one" </dev/null
refused isr_rollback ann vm "$one" 1 keep </dev/null
refused isr_rollback ann vm "$one" 1 release more </dev/null
refused isr_clone_parcel ann vm 1 </dev/null
refused isr_clone_parcel ann vm 1 new more </dev/null
refused isr_remove_parcel ann vm more </dev/null
refused isr_prune_versions ann vm 1 </dev/null
unchanged 'a word too many or too few'

# Messages. message FORMAT: as printf takes it.
message()
{
    # shellcheck disable=SC2059 # formats with escapes are the point
    printf "$1" >"$tmp/err.in"
    lock isr_acquire_lock ann vm "$one" <"$tmp/err.in"
    rm "$tmp/err.in"
    expect 2
    unchanged 'a message'
}
message ''
message 'SITE:=\n'
message 'SITE=x\n'
message 'SITE\n'
message ':=x\n'
message 'site:=x\n'
message 'SITE :=x\n'
message ' SITE:=x\n'
message 'SITE:=x\nSITE:=x\n'
message 'SITE:=x\nPATH:=/tmp\n'
message 'PATH:=/tmp\n'
message 'SITE:=x\n# remark\n'
message 'SITE:=a b\n'
message 'SITE:=a\000b\n'
message '\000SITE:=ab\n'
message 'SITE:=a\tb\n'
message 'SITE:=a\rb\n'
message 'SITE:=a\033[31mb\n'
message 'SITE:=a\303\244\n'
message 'SITE:=a%%\n'
message 'SITE:=a%%0\n'
message 'SITE:=a%%zz\n'
message 'SITE:=a%%00b\n'
message 'SITE:=$(touch outside2)\n'
message 'SITE:=`id`\n'
message 'SITE:=a;id\n'
message 'SITE:=*\n'
message 'SITE:=%01025d\n'
message 'SITE:=%070000d\n'
message '%070000d'
message 'SITE STORE:=x\n'

head -c 1000000 /dev/zero | tr '\0' '\n' >"$tmp/err.in"
lock isr_acquire_lock ann vm "$one" <"$tmp/err.in"
expect 2
rm "$tmp/err.in"

good="BASE:=1${nl}KEYROOT:=$key_b${nl}SIZE:=1${nl}NEWBYTES:=1${nl}SITE:=x${nl}CONSISTENT:=yes"
# swap KEY VALUE: the good message with another value for KEY
swap()
{
    printf '%s\n' "$good" | sed "s|^$1:=.*|$1:=$2|" >"$tmp/err.in"
    lock isr_publish ann vm "$one" <"$tmp/err.in"
    rm "$tmp/err.in"
    expect 2
    unchanged "$1:=$2"
}
for number in '' x -1 +1 01 1.0 0x1 1e3 1234567890123456 '1;id' '$((1))' 'in_SIZE'; do
    swap BASE "$number"
    swap SIZE "$number"
    swap NEWBYTES "$number"
done
swap KEYROOT ''
swap KEYROOT "$hex32"
swap KEYROOT "${key_b}00"
swap KEYROOT "${key_b%?}g"
swap KEYROOT "${key_b%?}F"
swap CONSISTENT ''
swap CONSISTENT maybe
swap CONSISTENT 'yes no'

create_with()
{
    printf 'UUID:=%s\nSRC:=%s\nSTORE:=%s\nKEYROOT:=%s\nSIZE:=1\nNEWBYTES:=1\nSITE:=x\n' \
        "$1" "$2" "$3" "$key_a" >"$tmp/err.in"
    lock isr_create_parcel ann new <"$tmp/err.in"
    rm "$tmp/err.in"
    expect 2
    unchanged 'a create'
}
create_with '' FILE:///x $hex32
create_with ../$hex32 FILE:///x $hex32
create_with $hex32 FILE:///x "$hex32/.."
for src in '' /x FILE: FILE:// '9P://x' 'FI LE:///x' 'FILE:///a b' 'FILE:///%' '-o://x' \
    'FILE:///$(id)' '://x'; do
    create_with $hex32 "$src" $hex32
done

# The same for what people do with whole versions.
for list in '' ',' '1,' ',1' '1,,2' '1 2' 1-2 0 01 -1 '*' '1;id' '1,x' '$(id)' 1234567890123456 \
    '1 /p;e id' '/d'; do
    prune vm "$list"
    expect 2
done
for uuid in '' x "$hex32/.." ../../../outside "${hex32}0" "${hex32%?}F"; do
    remove vm "$uuid"
    expect 2
    prune vm 1 "$uuid"
    expect 2
    clone vm 1 new "$id_a" "$uuid"
    expect 2
done
for id in '' x "$hex32" "${id_a}0" '*' "${id_a%?}?"; do
    clone vm 1 new "$id"
    expect 2
    rollback vm "$one" 1 1 "$id"
    expect 2
done
for id in x '*' 0000000 000000000 '.....{8}' '0000000/' 0000000G; do
    break_it vm "$id"
    expect 2
done
lock isr_break_lock ann vm <<EOF
REASON:=a reason
EOF
expect 2
lock isr_break_lock ann vm <<EOF
REASON:=a%0
EOF
expect 2
remove ann "$hex32"
expect 4
unchanged 'versions, uuids or catalogs of another form'

# The folder itself is not taken from just anywhere.
ISR_LOCKSRV_ROOT=root lock isr_cat_user ann </dev/null
expect 1
ISR_LOCKSRV_ROOT='' lock isr_cat_user ann </dev/null
expect 1

[ ! -e "$tmp/outside2" ] || fail 'a word was run as a command'
publish vm "$one" 1 "$key_b"
expect 0 VERSION:=2
