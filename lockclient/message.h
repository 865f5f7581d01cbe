/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lock server's messages (doc/lock-server.md): the text that goes to a command's standard
 * input, and what its standard output says. Pure functions; any thread may call.
 *
 * Builders append to OUT, which may come to hold a secret: release it with buffer_free_secret.
 * 0, -ENOMEM, or -EINVAL for what the server would refuse, with the key's name in *RET_REASON.
 *
 * Parsers take SIZE bytes that nobody vouches for and fill *RET, overwriting it; -EBADMSG with the
 * offending key, or another static text, in *RET_REASON; -ENOMEM. On error *RET holds nothing to
 * release, though perhaps half a secret to wipe. What the caller asked for is compared. */
#ifndef LOCKCLIENT_MESSAGE_H
#define LOCKCLIENT_MESSAGE_H

#include "isrfs/base/buffer.h"
#include "lockclient/types.h"

bool message_name_valid(const char *name);
bool message_nonce_valid(const char *nonce);

int message_build_site(const char *site, struct buffer *out, const char **ret_reason);
int message_build_create(const struct lockclient_create *c, const char *site, struct buffer *out,
                         const char **ret_reason);
int message_build_publish(const struct lockclient_publish *p, const char *site, struct buffer *out,
                          const char **ret_reason);
int message_build_break(const struct lockclient_break *b, struct buffer *out,
                        const char **ret_reason);
int message_build_rollback(const struct lockclient_rollback *b, const char *site,
                           struct buffer *out, const char **ret_reason);
int message_build_clone(const struct lockclient_clone *c, const char *site, struct buffer *out,
                        const char **ret_reason);
/* VERSIONS: numbers with a comma between them, or NULL. */
int message_build_uuid(const char *uuid, const char *versions, struct buffer *out,
                       const char **ret_reason);

int message_parse_user(const void *text, size_t size, struct lockclient_user *ret,
                       const char **ret_reason);
int message_parse_parcel_cfg(const void *text, size_t size, const char *parcel,
                             struct lockclient_parcel_cfg *ret, const char **ret_reason);
/* VERSION 0: whichever is the current one. */
int message_parse_keyroot(const void *text, size_t size, uint64_t version,
                          struct lockclient_keyroot *ret, const char **ret_reason);
int message_parse_lock(const void *text, size_t size, const char *nonce,
                       struct lockclient_lock *ret, const char **ret_reason);
int message_parse_check(const void *text, size_t size, struct lockclient_check *ret,
                        const char **ret_reason);
/* The reply to create and publish must name VERSION. */
int message_parse_version(const void *text, size_t size, uint64_t version, const char **ret_reason);
/* The reply must be KEY:=1. */
int message_parse_done(const void *text, size_t size, const char *key, const char **ret_reason);
int message_parse_held(const void *text, size_t size, struct lockclient_held *ret,
                       const char **ret_reason);
int message_parse_broken(const void *text, size_t size, struct lockclient_broken *ret,
                         const char **ret_reason);

/* What a failed command said on standard output. */
struct message_failure {
    bool stale;  /* another version or epoch than the request was based on */
    bool lost;   /* this nonce has ended */
    bool exists; /* another parcel has this name */
    struct lockclient_holder holder;
};
int message_parse_failure(const void *text, size_t size, struct message_failure *ret,
                          const char **ret_reason);

/* Their lists are released with message_list_free, message_history_free. */
int message_parse_list(const void *text, size_t size, struct lockclient_list *ret,
                       const char **ret_reason);
int message_parse_history(const void *text, size_t size, struct lockclient_history *ret,
                          const char **ret_reason);
/* *RET is released with free(RET->gone). */
int message_parse_forgotten(const void *text, size_t size, struct lockclient_forgotten *ret,
                            const char **ret_reason);
void message_list_free(struct lockclient_list *list);
void message_history_free(struct lockclient_history *history);

#endif
