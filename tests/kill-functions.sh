# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# shellcheck disable=SC2154 # tmp is of functions.sh
#
# Ending `isr` before its Nth call that changes a disk. Source functions.sh first.
#
# killed_at N COMMAND...: at site A; its exit status is 137 if there were so many calls.

requires "${CC%% *}"

# A library in front of libc.
cat >"$tmp/kill.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int left = -1;
static void count(void)
{
    const char *n = getenv("KILL_AT");
    if (strcmp(program_invocation_short_name, "isr") != 0 || !n)
        return;
    if (left < 0)
        left = atoi(n);
    if (--left == 0)
        kill(getpid(), SIGKILL);
}
#define WRAP(type, name, params, args)                                                             \
    type name params                                                                               \
    {                                                                                              \
        type(*real) params = (type(*) params)dlsym(RTLD_NEXT, #name);                              \
        count();                                                                                   \
        return real args;                                                                          \
    }
WRAP(int, fsync, (int fd), (fd))
WRAP(int, fdatasync, (int fd), (fd))
WRAP(int, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d))
WRAP(int, unlinkat, (int a, const char *b, int c), (a, b, c))
WRAP(int, mkdirat, (int a, const char *b, mode_t c), (a, b, c))
WRAP(ssize_t, pwrite, (int a, const void *b, size_t c, off_t d), (a, b, c, d))
C
${CC:-cc} -shared -fPIC -w -o "$tmp/kill.so" "$tmp/kill.c" -ldl || skip 'no shared library can be made'

killed_at() {
    killed_step=$1
    shift
    KILL_AT=$killed_step LD_PRELOAD=$tmp/kill.so site_a "$@"
}
