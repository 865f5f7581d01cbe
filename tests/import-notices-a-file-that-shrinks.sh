#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A file that becomes shorter while it is read is not imported.
. "$abs_top_srcdir/tests/functions.sh"
requires jq

# import_while_shrinking MIB: stops the import once it has stored something, and cuts the file.
import_while_shrinking() {
    random_file disk.img $(($1 * 1048576))
    site_a isr import --src "FILE://$home" vm disk.img >out 2>"$said" &
    import=$!
    while kill -s 0 "$import" 2>/dev/null && [ -z "$(find "$home/chunks" -type f 2>/dev/null)" ]; do
        :
    done
    kill -s STOP "$import" 2>/dev/null || :
    truncate -s 1000 disk.img
    kill -s CONT "$import" 2>/dev/null || :
    status=0
    wait "$import" || status=$?
}

import_while_shrinking 256
if [ "$status" -eq 0 ]; then # this machine is faster than that
    rm -r "$home"
    ISR_LOCKSRV=$tmp/locksrv2
    import_while_shrinking 2048
fi
[ "$status" -eq 1 ] || fail "exit $status: $(cat "$said")"
in_one_line disk.img
no_parcel
