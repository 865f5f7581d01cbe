/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One call to the lock server: a command with its words and message, and what its exit status and
 * reply mean. For lockclient*.c only. */
#ifndef LOCKCLIENT_CALL_H
#define LOCKCLIENT_CALL_H

#include "lockclient/lockclient.h"
#include "lockclient/message.h"
#include "lockclient/transport.h"

#define CALL_TABLE_LIMIT (8u << 20)

struct lockclient {
    struct transport *transport;
    char *user;
    char *site;
};

struct call {
    const char *command;
    const char *parcel, *nonce; /* NULL: the command has none */
    const char *word, *word2;   /* further words, checked by the caller; or NULL */
    const struct buffer *input; /* NULL: none */
    size_t limit;               /* of the reply; 0: 64 KiB */
};

/* Fills ERROR (may be NULL); returns R. */
int call_fail(struct lockclient_error *error, int status, int r, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int call_no_memory(struct lockclient_error *error);
/* A message could not be built: KEY's value. */
int call_bad_argument(int r, const char *key, struct lockclient_error *error);

/* 0 only if the command ended with status 0. The reply is the caller's to release. With -EBUSY,
 * *RET_HOLDER (may be NULL) says who has the lock. */
int call_run(struct lockclient *lc, const struct call *call, struct transport_reply *ret,
             struct lockclient_holder *ret_holder, struct lockclient_error *error);
/* A call whose only answer is KEY:=1, or the number of VERSION. */
int call_for_done(struct lockclient *lc, const struct call *call, const char *key,
                  struct lockclient_error *error);
int call_for_version(struct lockclient *lc, const struct call *call, uint64_t version,
                     struct lockclient_error *error);
/* What a parser said of the reply, R, as a failure of CALL. */
int call_check_reply(const struct call *call, int r, const char *reason,
                     struct lockclient_error *error);

#endif
