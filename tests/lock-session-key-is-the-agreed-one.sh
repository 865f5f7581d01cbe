#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# SESSION is HMAC-SHA-256(session-secret, nonce) to the byte: a site's log must open with it after
# the lock server was moved or restored.
# shellcheck source=tests/lock-functions.sh
. "${0%/*}/lock-functions.sh"

create vm "$key_a"
# Computed with OpenSSL; the first secret has zero bytes, percent signs and backslashes in it.
check()
{
    printf '%s\n' "$1" >"$ISR_LOCKSRV_ROOT/ann/session-secret"
    acquire vm "$(nonce 7)"
    expect 0 "SESSION:=$2"
    lock isr_check_lock ann vm "$(nonce 7)" </dev/null
    expect 0 "SESSION:=$2"
}
check 0000255c25640a7f80ff0102030405060708090a0b0c0d0e0f10111213365c00 caa39298d1ec5df162618e8c4f9753b2529b4ffe45d54451e827716fc7604ee3
check ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff fc48bf16a31899a63c7f96a7426d64c4a105d277b60d2a073491856a366d4490
