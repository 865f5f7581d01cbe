/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How messages travel: one command of the lock server is run to its end. Each way is a file of its
 * own, which fills this structure; nothing above knows which one it is. Any thread may call run. */
#ifndef LOCKCLIENT_TRANSPORT_H
#define LOCKCLIENT_TRANSPORT_H

#include <stddef.h>

#include "isrfs/base/buffer.h"
#include "lockclient/location.h"
#include "lockclient/types.h"

#define TRANSPORT_WORDS_MAX   8u
#define TRANSPORT_REASON_SIZE LOG_MESSAGE_SIZE

struct transport_call {
    const char *const *words; /* the command's name, then its arguments; ends with NULL; at most
                               * TRANSPORT_WORDS_MAX. Checked: no word needs quoting */
    const void *input;        /* for its standard input; may be secret */
    size_t input_size;
    size_t output_limit; /* more on its standard output is -EFBIG */
};

struct transport_reply {
    int status;
    struct buffer out;                  /* may be secret */
    struct buffer err;                  /* the beginning of standard error, terminated */
    char reason[TRANSPORT_REASON_SIZE]; /* why it failed, for showing, if more is known than the
                                         * errno says; else empty */
};

struct transport {
    /* 0 once the command has run, whatever its status; -ETIMEDOUT, -EFBIG, or negative errno when
     * it could not be run or its end is not known (it may have run). Blocks until then. The reply
     * is the caller's to release either way. */
    int (*run)(struct transport *t, const struct transport_call *call, struct transport_reply *ret);
    void (*free)(struct transport *t);
    /* Has a person been asked for a password or passphrase? NULL: it never asks. */
    bool (*asked)(const struct transport *t);
};

static inline void transport_free(struct transport *t)
{
    if (t)
        t->free(t);
}

/* Wipes what came back and releases it. */
static inline void transport_reply_free(struct transport_reply *r)
{
    buffer_free_secret(&r->out);
    buffer_free(&r->err);
}
#define CLEANUP_TRANSPORT_REPLY CLEANUP(transport_reply_free)

/* The lock server is the folder ROOT on this machine, its commands are those in the folder SCRIPTS:
 * child processes with an environment of their own. Both paths are copied; SCRIPTS is absolute,
 * ROOT is made so. *RET is released with transport_free. 0, -ENOMEM, -EINVAL for a relative
 * SCRIPTS, or why the working folder is not known. */
int transport_local_new(const char *scripts, const char *root, struct transport **ret);

/* The lock server is another machine: through libssh, or with the system's ssh as a child process
 * (SETTINGS->command, which must not be NULL then). Both send the words joined by single spaces.
 * Everything is copied; nothing is connected yet. 0, -ENOMEM, or -EINVAL for a command of no or too
 * many words. */
int transport_ssh_new(const struct location *where, const struct lockclient_ssh *settings,
                      struct transport **ret);
int transport_command_new(const struct location *where, const struct lockclient_ssh *settings,
                          struct transport **ret);

#endif
