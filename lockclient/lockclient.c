/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which command, with which words and limits. What exit statuses mean is call.c's, the text of
 * messages message.c's, how they travel the transport's. */
#include "lockclient/lockclient.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "lockclient/call.h"
#include "lockclient/location.h"

/* --- opening --- */

static int open_remote(const struct lockclient_config *config, struct transport **ret,
                       struct lockclient_error *error)
{
    static const struct lockclient_ssh defaults = {0};
    const struct lockclient_ssh *ssh = config->ssh ? config->ssh : &defaults;
    struct location where;
    if (!location_parse(config->server, &where))
        return call_fail(error, 2, -EINVAL, "lock server '%s' is not ssh://[user@]host[:port]",
                         config->server);
    if (!ssh->command)
        return transport_ssh_new(&where, ssh, ret);
    int r = transport_command_new(&where, ssh, ret);
    return r == -EINVAL
               ? call_fail(error, 2, r, "'%s' is not a command to use as ssh", ssh->command)
               : r;
}

static int open_transport(const struct lockclient_config *config, struct transport **ret,
                          struct lockclient_error *error)
{
    const char *server = config->server;
    if (!*server)
        return call_fail(error, 2, -EINVAL, "no lock server is named");
    if (strstr(server, "://"))
        return open_remote(config, ret, error);
    int r = transport_local_new(config->scripts, server, ret);
    return r < 0 && r != -ENOMEM
               ? call_fail(error, 1, r, "its folders have no absolute path: %s", strerror(-r))
               : r;
}

int lockclient_open(const struct lockclient_config *config, struct lockclient **ret,
                    struct lockclient_error *error)
{
    if (!message_name_valid(config->user))
        return call_fail(error, 2, -EINVAL, "'%s' is not a user name", config->user);
    if (!*config->site)
        return call_fail(error, 2, -EINVAL, "this site has no name");
    CLEANUP_LOCKCLIENT struct lockclient *lc = calloc(1, sizeof *lc);
    if (!lc)
        return call_no_memory(error);
    lc->user = strdup(config->user);
    lc->site = strdup(config->site);
    int r = lc->user && lc->site ? open_transport(config, &lc->transport, error) : -ENOMEM;
    if (r < 0)
        return r == -ENOMEM ? call_no_memory(error) : r;
    *ret = steal_ptr(lc);
    return 0;
}

void lockclient_free(struct lockclient *lc)
{
    if (!lc)
        return;
    transport_free(lc->transport);
    free(lc->user);
    free(lc->site);
    free(lc);
}

bool lockclient_asked(const struct lockclient *lc)
{
    return lc->transport->asked && lc->transport->asked(lc->transport);
}

int lockclient_make_nonce(uint64_t base, uint64_t epoch, char ret[LOCKCLIENT_NONCE_SIZE])
{
    uint8_t bytes[16];
    int r = random_bytes(bytes, sizeof bytes);
    if (r < 0)
        return r;
    char hex[2 * sizeof bytes + 1];
    hex_encode(hex, bytes, sizeof bytes);
    snprintf(ret, LOCKCLIENT_NONCE_SIZE, "%" PRIu64 "-%" PRIu64 "-%" PRIu64 "-%s",
             (uint64_t)time(NULL), base, epoch, hex);
    return 0;
}

bool lockclient_nonce_valid(const char *nonce)
{
    return message_nonce_valid(nonce);
}

bool lockclient_name_valid(const char *name)
{
    return message_name_valid(name);
}

/* --- the commands --- */

int lockclient_user(struct lockclient *lc, struct lockclient_user **ret,
                    struct lockclient_error *error)
{
    struct call call = {.command = "isr_cat_user"};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = call_run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    CLEANUP_SECRET struct lockclient_user *user = secret_alloc(sizeof *user);
    if (!user)
        return call_no_memory(error);
    const char *reason = NULL;
    r = message_parse_user(reply.out.data, reply.out.size, user, &reason);
    if (r < 0)
        return call_check_reply(&call, r, reason, error);
    *ret = steal_ptr(user);
    return 0;
}

int lockclient_keyroot(struct lockclient *lc, const char *parcel, uint64_t version,
                       struct lockclient_keyroot **ret, struct lockclient_error *error)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, version);
    struct call call = {
        .command = "isr_cat_keyroot", .parcel = parcel, .word = version ? number : NULL};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = call_run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    CLEANUP_SECRET struct lockclient_keyroot *keyroot = secret_alloc(sizeof *keyroot);
    if (!keyroot)
        return call_no_memory(error);
    const char *reason = NULL;
    r = message_parse_keyroot(reply.out.data, reply.out.size, version, keyroot, &reason);
    if (r < 0)
        return call_check_reply(&call, r, reason, error);
    *ret = steal_ptr(keyroot);
    return 0;
}

int lockclient_acquire(struct lockclient *lc, const char *parcel, const char *nonce,
                       struct lockclient_lock **ret, struct lockclient_holder *ret_holder,
                       struct lockclient_error *error)
{
    CLEANUP_BUFFER struct buffer input = {0};
    const char *reason = NULL;
    int r = message_build_site(lc->site, &input, &reason);
    if (r < 0)
        return call_bad_argument(r, reason, error);
    struct call call = {
        .command = "isr_acquire_lock", .parcel = parcel, .nonce = nonce, .input = &input};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    r = call_run(lc, &call, &reply, ret_holder, error);
    if (r < 0)
        return r;
    CLEANUP_SECRET struct lockclient_lock *lock = secret_alloc(sizeof *lock);
    if (!lock)
        return call_no_memory(error);
    r = message_parse_lock(reply.out.data, reply.out.size, nonce, lock, &reason);
    if (r < 0)
        return call_check_reply(&call, r, reason, error);
    *ret = steal_ptr(lock);
    return 0;
}

int lockclient_check(struct lockclient *lc, const char *parcel, const char *nonce,
                     struct lockclient_check **ret, struct lockclient_error *error)
{
    struct call call = {.command = "isr_check_lock", .parcel = parcel, .nonce = nonce};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = call_run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    CLEANUP_SECRET struct lockclient_check *check = secret_alloc(sizeof *check);
    if (!check)
        return call_no_memory(error);
    const char *reason = NULL;
    r = message_parse_check(reply.out.data, reply.out.size, check, &reason);
    if (r < 0)
        return call_check_reply(&call, r, reason, error);
    *ret = steal_ptr(check);
    return 0;
}

int lockclient_list(struct lockclient *lc, struct lockclient_list *ret,
                    struct lockclient_error *error)
{
    struct call call = {.command = "isr_list_parcel", .limit = CALL_TABLE_LIMIT};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = call_run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    const char *reason = NULL;
    r = message_parse_list(reply.out.data, reply.out.size, ret, &reason);
    return call_check_reply(&call, r, reason, error);
}

int lockclient_history(struct lockclient *lc, const char *parcel, struct lockclient_history *ret,
                       struct lockclient_error *error)
{
    struct call call = {.command = "isr_history", .parcel = parcel, .limit = CALL_TABLE_LIMIT};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = call_run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    const char *reason = NULL;
    r = message_parse_history(reply.out.data, reply.out.size, ret, &reason);
    return call_check_reply(&call, r, reason, error);
}

int lockclient_parcel_cfg(struct lockclient *lc, const char *parcel,
                          struct lockclient_parcel_cfg *ret, struct lockclient_error *error)
{
    struct call call = {.command = "isr_cat_parcel_cfg", .parcel = parcel};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = call_run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    const char *reason = NULL;
    r = message_parse_parcel_cfg(reply.out.data, reply.out.size, parcel, ret, &reason);
    return call_check_reply(&call, r, reason, error);
}

int lockclient_create(struct lockclient *lc, const char *parcel, const struct lockclient_create *c,
                      struct lockclient_error *error)
{
    CLEANUP_SECRET_BUFFER struct buffer input = {0};
    const char *reason = NULL;
    int r = message_build_create(c, lc->site, &input, &reason);
    if (r < 0)
        return call_bad_argument(r, reason, error);
    const char *command = c->number ? "isr_recover_parcel" : "isr_create_parcel";
    struct call call = {.command = command, .parcel = parcel, .input = &input};
    return call_for_version(lc, &call, c->number ? c->number : 1, error);
}

int lockclient_publish(struct lockclient *lc, const char *parcel, const char *nonce,
                       const struct lockclient_publish *p, struct lockclient_error *error)
{
    CLEANUP_SECRET_BUFFER struct buffer input = {0};
    const char *reason = NULL;
    int r = message_build_publish(p, lc->site, &input, &reason);
    if (r < 0)
        return call_bad_argument(r, reason, error);
    struct call call = {.command = p->uuid ? "isr_rekey" : "isr_publish",
                        .parcel = parcel,
                        .nonce = nonce,
                        .word = p->release ? "release" : NULL,
                        .input = &input};
    return call_for_version(lc, &call, p->base + 1, error);
}

int lockclient_release(struct lockclient *lc, const char *parcel, const char *nonce,
                       struct lockclient_error *error)
{
    struct call call = {.command = "isr_release_lock", .parcel = parcel, .nonce = nonce};
    return call_for_done(lc, &call, "RELEASED", error);
}

/* --- releasing --- */

void lockclient_user_free(struct lockclient_user *u)
{
    secret_free(u);
}

void lockclient_keyroot_free(struct lockclient_keyroot *k)
{
    secret_free(k);
}

void lockclient_lock_free(struct lockclient_lock *l)
{
    secret_free(l);
}

void lockclient_check_free(struct lockclient_check *c)
{
    secret_free(c);
}

void lockclient_list_free(struct lockclient_list *list)
{
    if (list)
        message_list_free(list);
}

void lockclient_history_free(struct lockclient_history *history)
{
    if (history)
        message_history_free(history);
}
