#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# An #include that points up a layer is found; libssh is included in one file at most.
set -eu
cd "$abs_top_srcdir"

# layer_of FOLDER: its height, and nothing for a folder outside the layers.
layer_of() {
    case $1 in
    isrfs/base) echo 0 ;;
    isrfs/codec | lockclient) echo 1 ;;
    isrfs/store) echo 2 ;;
    isrfs/keyring) echo 3 ;;
    isrfs/parcel) echo 4 ;;
    isrfs/sync) echo 5 ;;
    isrfs/fuse) echo 6 ;;
    isrfs/cmd | vmm-hooks) echo 7 ;;
    esac
}

# allowed FOLDER INCLUDED-FOLDER
allowed() {
    [ "$1" != "$2" ] || return 0
    case $1 in
    lockclient | vmm-hooks) [ "$2" = isrfs/base ] ;;
    isrfs/codec | isrfs/store | isrfs/keyring | isrfs/parcel)
        [ "$2" != lockclient ] && [ "$(layer_of "$2")" -lt "$(layer_of "$1")" ]
        ;;
    *) [ "$(layer_of "$2")" -lt "$(layer_of "$1")" ] ;;
    esac
}

# check_file FILE: prints what is wrong with its includes.
check_file() {
    folder=$(dirname "$1")
    sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$1" |
        while IFS= read -r included; do
            target=$(dirname "$included")
            case $included in
            config.h) ;;
            *)
                if [ -z "$(layer_of "$target")" ]; then
                    printf '%s: "%s" is not a path from the top\n' "$1" "$included"
                elif ! allowed "$folder" "$target"; then
                    printf '%s: "%s" points up\n' "$1" "$included"
                fi
                ;;
            esac
        done
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The check itself must see what is wrong.
mkdir -p "$tmp/isrfs/base" "$tmp/lockclient"
printf '#include "isrfs/codec/codec.h"\n' >"$tmp/isrfs/base/up.c"
printf '#include "isrfs/store/store.h"\n' >"$tmp/lockclient/up.c"
printf '  # include "codec.h"\n#include "isrfs/base/hex.h"\n' >"$tmp/isrfs/base/odd.c"
planted=$(cd "$tmp" && for file in isrfs/base/up.c lockclient/up.c isrfs/base/odd.c; do
    check_file "$file"
done | wc -l)
[ "$planted" -eq 3 ] || {
    echo "FAIL: found $planted of 3 planted mistakes"
    exit 1
}

find isrfs lockclient vmm-hooks -name '*.[ch]' | sort >"$tmp/files"
[ "$(wc -l <"$tmp/files")" -gt 20 ] || {
    echo 'FAIL: the sources are not where they should be'
    exit 1
}
while IFS= read -r file; do
    check_file "$file"
done <"$tmp/files" >"$tmp/wrong"
ssh_files=$(xargs grep -l '#[[:space:]]*include[[:space:]]*<libssh' <"$tmp/files" | wc -l)
[ "$ssh_files" -le 1 ] || echo "libssh is included in $ssh_files files" >>"$tmp/wrong"
cat "$tmp/wrong"
[ ! -s "$tmp/wrong" ]
