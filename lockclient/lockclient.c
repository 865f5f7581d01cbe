/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Policy: which command, with which words and limits, and what its exit status and reply mean to
 * the caller. The text of messages is message.c's, how they travel is the transport's.
 *
 * Every word that becomes an argument is checked here first, so that a transport needs no quoting.
 * Exit status and reply must agree: a status 3 that names neither a holder nor a lost nonce is a
 * malformed reply, not a lost lock. */
#include "lockclient/lockclient.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "isrfs/base/hex.h"
#include "isrfs/base/log.h"
#include "isrfs/base/secret.h"
#include "lockclient/location.h"
#include "lockclient/message.h"
#include "lockclient/transport.h"

#define REPLY_LIMIT 65536u
#define TABLE_LIMIT (8u << 20)

struct lockclient {
    struct transport *transport;
    char *user;
    char *site;
};

__attribute__((format(printf, 4, 5))) static int fail(struct lockclient_error *error, int status,
                                                      int r, const char *format, ...)
{
    if (error) {
        char text[sizeof error->text];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        error->status = status;
        log_clean(error->text, sizeof error->text, text);
    }
    return r;
}

static int out_of_memory(struct lockclient_error *error)
{
    return fail(error, 1, -ENOMEM, "out of memory");
}

/* --- opening --- */

static int open_remote(const struct lockclient_config *config, struct transport **ret,
                       struct lockclient_error *error)
{
    static const struct lockclient_ssh defaults = {0};
    const struct lockclient_ssh *ssh = config->ssh ? config->ssh : &defaults;
    struct location where;
    if (!location_parse(config->server, &where))
        return fail(error, 2, -EINVAL, "lock server '%s' is not ssh://[user@]host[:port]",
                    config->server);
    if (!ssh->command)
        return transport_ssh_new(&where, ssh, ret);
    int r = transport_command_new(&where, ssh, ret);
    return r == -EINVAL ? fail(error, 2, r, "'%s' is not a command to use as ssh", ssh->command)
                        : r;
}

static int open_transport(const struct lockclient_config *config, struct transport **ret,
                          struct lockclient_error *error)
{
    const char *server = config->server;
    if (!*server)
        return fail(error, 2, -EINVAL, "no lock server is named");
    if (strstr(server, "://"))
        return open_remote(config, ret, error);
    int r = transport_local_new(config->scripts, server, ret);
    return r < 0 && r != -ENOMEM
               ? fail(error, 1, r, "its folders have no absolute path: %s", strerror(-r))
               : r;
}

int lockclient_open(const struct lockclient_config *config, struct lockclient **ret,
                    struct lockclient_error *error)
{
    if (!message_name_valid(config->user))
        return fail(error, 2, -EINVAL, "'%s' is not a user name", config->user);
    if (!*config->site)
        return fail(error, 2, -EINVAL, "this site has no name");
    CLEANUP_LOCKCLIENT struct lockclient *lc = calloc(1, sizeof *lc);
    if (!lc)
        return out_of_memory(error);
    lc->user = strdup(config->user);
    lc->site = strdup(config->site);
    int r = lc->user && lc->site ? open_transport(config, &lc->transport, error) : -ENOMEM;
    if (r < 0)
        return r == -ENOMEM ? out_of_memory(error) : r;
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

/* --- calling --- */

struct call {
    const char *command;
    const char *parcel, *nonce; /* NULL: the command has none */
    const char *word;           /* one word more, or NULL */
    const struct buffer *input; /* NULL: none */
    size_t limit;
};

static const char *utc(uint64_t seconds, char out[32])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    if (seconds > INT64_MAX || !gmtime_r(&t, &tm) ||
        strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm) == 0)
        strcpy(out, "an unknown time");
    return out;
}

static int fail_held(const struct lockclient_holder *holder, struct lockclient_error *error)
{
    char since[32], seen[32];
    return fail(error, 3, -EBUSY, "held by %s at %.120s since %s%s%s", holder->user, holder->site,
                utc(holder->since, since), holder->seen ? ", last seen " : "",
                holder->seen ? utc(holder->seen, seen) : "");
}

static int bad_reply(const struct call *call, const char *reason, struct lockclient_error *error)
{
    return fail(error, 1, -EBADMSG, "the lock server's reply to %s is malformed: %s", call->command,
                reason);
}

static int check_reply(const struct call *call, int r, const char *reason,
                       struct lockclient_error *error)
{
    if (r == -ENOMEM)
        return out_of_memory(error);
    return r < 0 ? bad_reply(call, reason, error) : 0;
}

/* The first line of standard error, without the command's name in front. */
static void first_line(const struct call *call, const struct buffer *err, char *out, size_t room)
{
    const char *text = err->data ? (const char *)err->data : "";
    size_t name = strlen(call->command);
    if (strncmp(text, call->command, name) == 0 && strncmp(text + name, ": ", 2) == 0)
        text += name + 2;
    size_t size = strcspn(text, "\n");
    snprintf(out, room, "%.*s", (int)(size < room ? size : room - 1), text);
    if (!*out)
        snprintf(out, room, "%s failed without saying why", call->command);
}

/* The command ran and did not end with 0. */
static int fail_as_told(const struct call *call, const struct transport_reply *reply,
                        struct lockclient_holder *ret_holder, struct lockclient_error *error)
{
    char text[sizeof error->text];
    first_line(call, &reply->err, text, sizeof text);
    if (reply->status == 6)
        return fail(error, 6, -EHOSTUNREACH, "%.180s", text);
    if (reply->status < 1 || reply->status > 4)
        return fail(error, 6, -EHOSTUNREACH, "%s ended with status %d: %.180s", call->command,
                    reply->status, text);
    struct message_failure told;
    const char *reason = NULL;
    int r = message_parse_failure(reply->out.data, reply->out.size, &told, &reason);
    if (r < 0)
        return check_reply(call, r, reason, error);
    switch (reply->status) {
    case 1:
        r = told.stale ? -ESTALE : told.exists ? -EEXIST : -EREMOTEIO;
        return fail(error, 1, r, "%s", text);
    case 2:
        return fail(error, 2, -EINVAL, "%s", text);
    case 4:
        return fail(error, 4, -ENOENT, "%s", text);
    default:
        break;
    }
    if (told.lost)
        return fail(error, 3, -EKEYREVOKED, "%s", text);
    if (!told.holder.user[0])
        return bad_reply(call, "neither HOLDER_USER nor LOST", error);
    if (ret_holder)
        *ret_holder = told.holder;
    return fail_held(&told.holder, error);
}

/* 0 only if the command ended with status 0. REPLY is the caller's to release. */
static int run(struct lockclient *lc, const struct call *call, struct transport_reply *ret,
               struct lockclient_holder *ret_holder, struct lockclient_error *error)
{
    *ret = (struct transport_reply){0};
    if (call->parcel && !message_name_valid(call->parcel))
        return fail(error, 2, -EINVAL, "'%s' is not a parcel name", call->parcel);
    if (call->nonce && !message_nonce_valid(call->nonce))
        return fail(error, 2, -EINVAL, "not a nonce");
    const char *words[TRANSPORT_WORDS_MAX] = {call->command, lc->user};
    size_t count = 2;
    if (call->parcel)
        words[count++] = call->parcel;
    if (call->nonce)
        words[count++] = call->nonce;
    if (call->word)
        words[count++] = call->word;
    struct transport_call request = {
        .words = words,
        .input = call->input ? call->input->data : NULL,
        .input_size = call->input ? call->input->size : 0,
        .output_limit = call->limit ? call->limit : REPLY_LIMIT,
    };
    int r = lc->transport->run(lc->transport, &request, ret);
    if (r == -ENOMEM)
        return out_of_memory(error);
    if (r == -EFBIG)
        return bad_reply(call, "it is too long", error);
    if (r < 0 && ret->reason[0])
        return fail(error, 6, -EHOSTUNREACH, "%s", ret->reason);
    if (r == -ETIMEDOUT)
        return fail(error, 6, -EHOSTUNREACH, "the lock server did not answer %s in time",
                    call->command);
    if (r < 0)
        return fail(error, 6, -EHOSTUNREACH, "cannot run the lock server's %s: %s", call->command,
                    strerror(-r));
    return ret->status == 0 ? 0 : fail_as_told(call, ret, ret_holder, error);
}

static int refused_argument(int r, const char *key, struct lockclient_error *error)
{
    if (r == -ENOMEM)
        return out_of_memory(error);
    return fail(error, 2, r, "%s is too long or not of the right form", key);
}

/* --- the commands --- */

int lockclient_user(struct lockclient *lc, struct lockclient_user **ret,
                    struct lockclient_error *error)
{
    struct call call = {.command = "isr_cat_user"};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    CLEANUP_SECRET struct lockclient_user *user = secret_alloc(sizeof *user);
    if (!user)
        return out_of_memory(error);
    const char *reason = NULL;
    r = message_parse_user(reply.out.data, reply.out.size, user, &reason);
    if (r < 0)
        return check_reply(&call, r, reason, error);
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
    int r = run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    CLEANUP_SECRET struct lockclient_keyroot *keyroot = secret_alloc(sizeof *keyroot);
    if (!keyroot)
        return out_of_memory(error);
    const char *reason = NULL;
    r = message_parse_keyroot(reply.out.data, reply.out.size, version, keyroot, &reason);
    if (r < 0)
        return check_reply(&call, r, reason, error);
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
        return refused_argument(r, reason, error);
    struct call call = {
        .command = "isr_acquire_lock", .parcel = parcel, .nonce = nonce, .input = &input};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    r = run(lc, &call, &reply, ret_holder, error);
    if (r < 0)
        return r;
    CLEANUP_SECRET struct lockclient_lock *lock = secret_alloc(sizeof *lock);
    if (!lock)
        return out_of_memory(error);
    r = message_parse_lock(reply.out.data, reply.out.size, nonce, lock, &reason);
    if (r < 0)
        return check_reply(&call, r, reason, error);
    *ret = steal_ptr(lock);
    return 0;
}

int lockclient_check(struct lockclient *lc, const char *parcel, const char *nonce,
                     struct lockclient_check **ret, struct lockclient_error *error)
{
    struct call call = {.command = "isr_check_lock", .parcel = parcel, .nonce = nonce};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    CLEANUP_SECRET struct lockclient_check *check = secret_alloc(sizeof *check);
    if (!check)
        return out_of_memory(error);
    const char *reason = NULL;
    r = message_parse_check(reply.out.data, reply.out.size, check, &reason);
    if (r < 0)
        return check_reply(&call, r, reason, error);
    *ret = steal_ptr(check);
    return 0;
}

int lockclient_list(struct lockclient *lc, struct lockclient_list *ret,
                    struct lockclient_error *error)
{
    struct call call = {.command = "isr_list_parcel", .limit = TABLE_LIMIT};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    const char *reason = NULL;
    r = message_parse_list(reply.out.data, reply.out.size, ret, &reason);
    return check_reply(&call, r, reason, error);
}

int lockclient_history(struct lockclient *lc, const char *parcel, struct lockclient_history *ret,
                       struct lockclient_error *error)
{
    struct call call = {.command = "isr_history", .parcel = parcel, .limit = TABLE_LIMIT};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    const char *reason = NULL;
    r = message_parse_history(reply.out.data, reply.out.size, ret, &reason);
    return check_reply(&call, r, reason, error);
}

int lockclient_parcel_cfg(struct lockclient *lc, const char *parcel,
                          struct lockclient_parcel_cfg *ret, struct lockclient_error *error)
{
    struct call call = {.command = "isr_cat_parcel_cfg", .parcel = parcel};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    const char *reason = NULL;
    r = message_parse_parcel_cfg(reply.out.data, reply.out.size, parcel, ret, &reason);
    return check_reply(&call, r, reason, error);
}

int lockclient_create(struct lockclient *lc, const char *parcel, const struct lockclient_create *c,
                      struct lockclient_error *error)
{
    CLEANUP_SECRET_BUFFER struct buffer input = {0};
    const char *reason = NULL;
    int r = message_build_create(c, lc->site, &input, &reason);
    if (r < 0)
        return refused_argument(r, reason, error);
    struct call call = {.command = "isr_create_parcel", .parcel = parcel, .input = &input};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    r = run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    r = message_parse_version(reply.out.data, reply.out.size, 1, &reason);
    return check_reply(&call, r, reason, error);
}

int lockclient_publish(struct lockclient *lc, const char *parcel, const char *nonce,
                       const struct lockclient_publish *p, struct lockclient_error *error)
{
    CLEANUP_SECRET_BUFFER struct buffer input = {0};
    const char *reason = NULL;
    int r = message_build_publish(p, lc->site, &input, &reason);
    if (r < 0)
        return refused_argument(r, reason, error);
    struct call call = {.command = "isr_publish",
                        .parcel = parcel,
                        .nonce = nonce,
                        .word = p->release ? "release" : NULL,
                        .input = &input};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    r = run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    r = message_parse_version(reply.out.data, reply.out.size, p->base + 1, &reason);
    return check_reply(&call, r, reason, error);
}

int lockclient_release(struct lockclient *lc, const char *parcel, const char *nonce,
                       struct lockclient_error *error)
{
    struct call call = {.command = "isr_release_lock", .parcel = parcel, .nonce = nonce};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    const char *reason = NULL;
    r = message_parse_released(reply.out.data, reply.out.size, &reason);
    return check_reply(&call, r, reason, error);
}

int lockclient_break(struct lockclient *lc, const char *parcel, bool stolen,
                     struct lockclient_broken *ret, struct lockclient_error *error)
{
    struct call call = {
        .command = "isr_break_lock", .parcel = parcel, .word = stolen ? "stolen" : NULL};
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = run(lc, &call, &reply, NULL, error);
    if (r < 0)
        return r;
    const char *reason = NULL;
    r = message_parse_broken(reply.out.data, reply.out.size, ret, &reason);
    return check_reply(&call, r, reason, error);
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
