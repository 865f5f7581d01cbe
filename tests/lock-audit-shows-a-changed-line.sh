#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Each line of the audit ends with the SHA-256 of the line before, so a line that was changed or
# taken out shows; and a line that a crash cut short does not end the record.
# shellcheck source=tests/lock-functions.sh
. "${0%/*}/lock-functions.sh"

audit=$ISR_LOCKSRV_ROOT/ann/audit
# chained FILE: whether each line ends with the hash of the one before.
chained()
{
    hash=0000000000000000000000000000000000000000000000000000000000000000
    while IFS= read -r line; do
        [ "${line##* }" = "$hash" ] || return 1
        hash=$(printf %s "$line" | sha256sum)
        hash=${hash%% *}
    done <"$1"
}

one=$(nonce 1)
create vm "$key_a"
acquire vm "$one"
publish vm "$one" 1 "$key_b"
lock isr_cat_keyroot ann vm 1 </dev/null
publish vm "$one" 2 "$key_c" release
acquire vm "$(nonce 2 3)"
lock isr_break_lock ann vm </dev/null
publish vm "$(nonce 2 3)" 3 "$key_a"
expect 3
chained "$audit" || fail 'the chain is broken'
verbs=$(cut -d ' ' -f 2-4 "$audit" | tr '\n' ,)
[ "$verbs" = 'ann create vm,ann acquire vm,ann publish vm,ann cat-keyroot vm,ann publish vm,'\
'ann acquire vm,ann break vm,ann publish-refused vm,' ] || fail "the audit says: $verbs"
for key in "$key_a" "$key_b" "$key_c" "$(cat "$ISR_LOCKSRV_ROOT/ann/secret")"; do
    grep -q "$key" "$audit" && fail 'a key stands in the audit'
done

sed '3s/version=2/version=9/' "$audit" >"$tmp/changed"
cmp -s "$tmp/changed" "$audit" && fail 'nothing was changed'
chained "$tmp/changed" && fail 'a changed line does not show'
sed 4d "$audit" >"$tmp/changed"
chained "$tmp/changed" && fail 'a missing line does not show'

# Cut short in its last line.
size=$(wc -c <"$audit")
truncate -s "$((size - 20))" "$audit"
cut=$(tail -n 1 "$audit")
lock isr_cat_keyroot ann vm </dev/null
expect 0
hash=$(printf %s "$cut" | sha256sum)
case $(tail -n 1 "$audit") in
*' cat-keyroot vm version=3 '"${hash%% *}") ;;
*) fail 'the line after a cut one does not name it' ;;
esac
