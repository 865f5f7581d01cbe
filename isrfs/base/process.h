/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Child processes: run one with bytes in and bounded bytes out, within a time limit. */
#ifndef ISRFS_BASE_PROCESS_H
#define ISRFS_BASE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "isrfs/base/buffer.h"

/* The path of NAME among the installed helper programs ($(libexecdir)/isr, or the folder that the
 * environment's ISR_LIBEXEC names): the caller's to free. NULL: no memory. */
char *process_helper(const char *name);

struct process {
    const char *const *argv; /* argv[0] is a path, or a name looked up in PATH; ends with NULL */
    const char *const *envp; /* NULL: the caller's */
    const void *input;       /* for its standard input; may be secret */
    size_t input_size;
    size_t output_limit; /* more on standard output ends the child: -EFBIG */
    unsigned timeout_ms; /* 0: none. Past it the child is killed: -ETIMEDOUT */
};

struct process_result {
    int status;        /* exit status; 128 + signal when it was killed */
    struct buffer out; /* standard output, terminated */
    struct buffer err; /* the first 4 KiB of standard error, terminated */
};

/* Runs the child to its end; blocks. 0 once it has run (whatever its status), else negative errno
 * (-ENOENT: no such program). The result is the caller's to release either way. Descriptors other
 * than 0, 1, 2 are closed in the child, signals are at their defaults and unblocked. */
int process_run(const struct process *p, struct process_result *ret);
void process_result_free(struct process_result *r);
#define CLEANUP_PROCESS_RESULT CLEANUP(process_result_free)

#endif
