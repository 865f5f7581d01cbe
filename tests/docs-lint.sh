#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The manuals have no mistakes that mandoc knows, the scripts none that shellcheck knows.
set -eu
cd "$abs_top_srcdir"
wrong=0

skip() {
    printf 'SKIP: %s\n' "$*"
    exit 77
}
command -v mandoc >/dev/null || skip 'mandoc is missing (Debian package mandoc)'
command -v shellcheck >/dev/null || skip 'shellcheck is missing (Debian package shellcheck)'

for page in doc/man/*.[1-8]; do
    [ -e "$page" ] || continue
    mandoc -T lint -W warning "$page" || wrong=1
done
set --
for script in scripts/* scripts/lockserver/* tests/*.sh tests/bench/* .ci/run; do
    [ -f "$script" ] || continue
    case $script in
    *.mk | *.c | *.h) ;;
    tests/functions.sh | scripts/prepare | scripts/lockserver/isr*_functions) set -- "$@" "$script" ;;
    *) ! head -n 1 "$script" | grep -q '^#!/bin/sh' || set -- "$@" "$script" ;;
    esac
done
shellcheck -x -P "$PWD" -S warning -e SC1090,SC1091,SC2034,SC2154 "$@" || wrong=1
exit "$wrong"
