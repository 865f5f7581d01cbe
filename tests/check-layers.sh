#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# An #include that points up a layer is found; libssh is included in one file at most; and all
# writing to disk goes through isrfs/base/io.h, so that a test can make any of it fail.
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

# check_writes LIST: prints what in the files of this list changes a disk, as "FILE CALL".
check_writes() {
    awk -v list="$1" '
        BEGIN {
            while ((getline file <list) > 0)
                ARGV[ARGC++] = file
            calls = "(p?write(v|v2)?(64)?|f?truncate(64)?|(posix_)?fallocate(64)?|f(data)?sync" \
                "|sync(fs|_file_range)?|msync|rename(at2?)?|unlink(at)?|remove|rmdir|mkdir(at)?" \
                "|link(at)?|symlink(at)?|mknod(at)?|mkfifo(at)?|mk[ds]temp|mkostemp|tmpfile|creat" \
                "|copy_file_range|sendfile)"
            call = "(^|[^A-Za-z0-9_.>])" calls "[ \t]*[(]"
            flag = "(^|[^A-Za-z0-9_])(O_CREAT|O_TMPFILE|O_TRUNC)([^A-Za-z0-9_]|$)"
            stream = "(^|[^A-Za-z0-9_])(fopen|freopen|fdopen)[ \t]*[(][^;]*\"([wa]|r[a-z]*[+])"
        }
        function look(text, pattern, found) {
            while (match(text, pattern)) {
                found = substr(text, RSTART, RLENGTH)
                sub("^[^A-Za-z]", "", found)
                sub("[^A-Za-z0-9_].*$", "", found)
                print FILENAME, found
                text = substr(text, RSTART + RLENGTH)
            }
        }
        FNR == 1 { comment = 0 }
        {
            line = $0
            while (comment || line ~ "/[*]") { # takes comments out
                at = comment ? 0 : index(line, "/*")
                end = index(substr(line, at + 1), "*/")
                comment = !end
                rest = end ? substr(line, at + end + 2) : ""
                line = (at > 1 ? substr(line, 1, at - 1) : "") " " rest
                if (comment)
                    break
            }
            look(line, call)
            look(line, flag)
            look(line, stream)
        }'
}

# Not a disk: FILE CALL why.
not_a_disk='isrfs/base/log.c write standard error
isrfs/base/process.c write pipes
isrfs/cmd/isrfs_background.c write a pipe
isrfs/fuse/control.c write an eventfd
isrfs/fuse/watch.c write an eventfd
isrfs/store/remote_child.c ftruncate memory
vmm-hooks/qemu_process.c write a pipe
vmm-hooks/qemu_process.c ftruncate memory'

# writes_elsewhere: what of "FILE CALL" on standard input is neither in isrfs/base/io.h nor of
# the list, and what in the list is of no use.
writes_elsewhere() {
    printf '%s\n' "$not_a_disk" | awk '
        FNR == NR { allowed[$1 " " $2] = 1; next }
        $1 ~ "^isrfs/base/io(_[a-z]*)?[.]c$" { next }
        $0 in allowed { used[$0] = 1; next }
        { print $1 ": " $2 " goes round isrfs/base/io.h" }
        END { for (a in allowed) if (!(a in used)) print a ": there is none any more" }' - "$1"
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

cat >"$tmp/isrfs/base/writes.c" <<'END'
/* write(fd) */ int a = pwrite(fd, "x", 1, 0); /*
 fsync(fd) */
s->ops->remove(id); int (*mkdir)(void); my_rename(a, b); FUSE_O_CREAT; s.unlink(x);
int b = ftruncate(fd, 0) /* and */ + open(name, O_WRONLY | O_CREAT, 0600), c = renameat2 (1);
FILE *f = fopen(name, "re"), *g = fopen(name, "we");
END
echo isrfs/base/writes.c >"$tmp/planted"
planted=$(cd "$tmp" && check_writes planted | sort | tr '\n' ' ')
[ "$planted" = "$(printf 'isrfs/base/writes.c %s ' O_CREAT fopen ftruncate pwrite renameat2)" ] || {
    echo "FAIL: found these planted writes: $planted"
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
check_writes "$tmp/files" >"$tmp/writes"
writes_elsewhere "$tmp/writes" >>"$tmp/wrong"
ssh_files=$(xargs grep -l '#[[:space:]]*include[[:space:]]*<libssh' <"$tmp/files" | wc -l)
[ "$ssh_files" -le 1 ] || echo "libssh is included in $ssh_files files" >>"$tmp/wrong"
cat "$tmp/wrong"
[ ! -s "$tmp/wrong" ]
