#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The lock, publish and fencing protocol, with everything that may crash, get lost or come late, has
# no error that spin can find; and each rule in it is needed: without it spin finds one.
# tests/model/lock.pml says what is modelled, and what is checked.
. "$abs_top_srcdir/tests/functions.sh"
requires spin
requires gcc
model=$abs_top_srcdir/tests/model/lock.pml

# search DEFINE...: builds the verifier for the model with these and runs it; its report is in `out`.
search() {
    spin -a "$@" "$model" >spin.out 2>&1 || fail "spin cannot read the model: $(cat spin.out)"
    gcc -O2 -w -DSAFETY -DNOFAIR -DCOLLAPSE -DMEMLIM=1000 -o pan pan.c
    timeout 300 ./pan -m100000 >out 2>&1 || fail "the search was cut off: $(tail -n 3 out)"
}

# holds DEFINE...: every state was seen, and none is wrong.
holds() {
    search "$@"
    if grep -q -e 'not completed' -e 'depth too small' out; then
        fail "not all of it was searched ($*): $(cat out)"
    fi
    grep -q 'errors: 0$' out || fail "the protocol has an error ($*): $(head -n 1 out)"
    printf '%s: %s\n' "$*" "$(sed -n 's/ *\([0-9]*\) states, stored.*/\1 states/p' out)"
}

# breaks PATTERN DEFINE...: the assertion that has PATTERN in it does not hold.
breaks() {
    pattern=$1
    shift
    search "$@"
    grep -q -e "assertion violated.*$pattern" out ||
        fail "the error that is in it was not found ($*): $(head -n 3 out)"
    printf '%s: found\n' "$*"
}

# One check-out and the home with its collector, requests late; two and no home; two and the home,
# no request late; three and no home, no request late.
holds -DNONCES=1
holds -DNONCES=2 -DNO_HOME
holds -DNONCES=2 -DPUNCTUAL=true -DPUBLISHES=1
holds -DNONCES=3 -DPUNCTUAL=true -DNO_HOME

breaks 'granted==nonce' -DNO_FENCING -DNONCES=2 -DNO_HOME
breaks 'dirty' -DBLIND_FORGET -DNONCES=2 -DNO_HOME
breaks 'watched_left' -DNO_HOLD -DNONCES=1
breaks 'watched_public' -DNO_BARRIER -DNONCES=1
breaks 'watched_' -DNO_RECHECK -DNONCES=1
breaks 'watched_' -DVERSIONS_FIRST -DNONCES=1
