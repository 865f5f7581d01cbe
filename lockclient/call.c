/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Words are checked here, so that a transport needs no quoting. Exit status and reply must agree: a
 * status 3 that names neither a holder nor a lost nonce is a malformed reply, not a lost lock. */
#include "lockclient/call.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "isrfs/base/log.h"

#define REPLY_LIMIT 65536u

int call_fail(struct lockclient_error *error, int status, int r, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        log_clean_format(error->text, sizeof error->text, format, args);
        va_end(args);
        error->status = status;
    }
    return r;
}

int call_no_memory(struct lockclient_error *error)
{
    return call_fail(error, 1, -ENOMEM, "out of memory");
}

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
    return call_fail(error, 3, -EBUSY, "held by %s at %.120s since %s%s%s", holder->user,
                     holder->site, utc(holder->since, since), holder->seen ? ", last seen " : "",
                     holder->seen ? utc(holder->seen, seen) : "");
}

static int bad_reply(const struct call *call, const char *reason, struct lockclient_error *error)
{
    return call_fail(error, 1, -EBADMSG, "the lock server's reply to %s is malformed: %s",
                     call->command, reason);
}

int call_check_reply(const struct call *call, int r, const char *reason,
                     struct lockclient_error *error)
{
    if (r == -ENOMEM)
        return call_no_memory(error);
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
        return call_fail(error, 6, -EHOSTUNREACH, "%.180s", text);
    if (reply->status < 1 || reply->status > 4)
        return call_fail(error, 6, -EHOSTUNREACH, "%s ended with status %d: %.180s", call->command,
                         reply->status, text);
    struct message_failure told;
    const char *reason = NULL;
    int r = message_parse_failure(reply->out.data, reply->out.size, &told, &reason);
    if (r < 0)
        return call_check_reply(call, r, reason, error);
    switch (reply->status) {
    case 1:
        r = told.stale ? -ESTALE : told.exists ? -EEXIST : -EREMOTEIO;
        return call_fail(error, 1, r, "%s", text);
    case 2:
        return call_fail(error, 2, -EINVAL, "%s", text);
    case 4:
        return call_fail(error, 4, -ENOENT, "%s", text);
    default:
        break;
    }
    if (told.lost)
        return call_fail(error, 3, -EKEYREVOKED, "%s", text);
    if (!told.holder.user[0])
        return bad_reply(call, "neither HOLDER_USER nor LOST", error);
    if (ret_holder)
        *ret_holder = told.holder;
    return fail_held(&told.holder, error);
}

int call_run(struct lockclient *lc, const struct call *call, struct transport_reply *ret,
             struct lockclient_holder *ret_holder, struct lockclient_error *error)
{
    *ret = (struct transport_reply){0};
    if (call->parcel && !message_name_valid(call->parcel))
        return call_fail(error, 2, -EINVAL, "'%s' is not a parcel name", call->parcel);
    if (call->nonce && !message_nonce_valid(call->nonce))
        return call_fail(error, 2, -EINVAL, "not a nonce");
    const char *words[TRANSPORT_WORDS_MAX] = {call->command, lc->user};
    size_t count = 2;
    if (call->parcel)
        words[count++] = call->parcel;
    if (call->nonce)
        words[count++] = call->nonce;
    if (call->word)
        words[count++] = call->word;
    if (call->word2)
        words[count++] = call->word2;
    struct transport_call request = {
        .words = words,
        .input = call->input ? call->input->data : NULL,
        .input_size = call->input ? call->input->size : 0,
        .output_limit = call->limit ? call->limit : REPLY_LIMIT,
    };
    int r = lc->transport->run(lc->transport, &request, ret);
    if (r == -ENOMEM)
        return call_no_memory(error);
    if (r == -EFBIG)
        return bad_reply(call, "it is too long", error);
    if (r < 0 && ret->reason[0])
        return call_fail(error, 6, -EHOSTUNREACH, "%s", ret->reason);
    if (r == -ETIMEDOUT)
        return call_fail(error, 6, -EHOSTUNREACH, "the lock server did not answer %s in time",
                         call->command);
    if (r < 0)
        return call_fail(error, 6, -EHOSTUNREACH, "cannot run the lock server's %s: %s",
                         call->command, strerror(-r));
    return ret->status == 0 ? 0 : fail_as_told(call, ret, ret_holder, error);
}

int call_bad_argument(int r, const char *key, struct lockclient_error *error)
{
    if (r == -ENOMEM)
        return call_no_memory(error);
    return call_fail(error, 2, r, "%s is too long or not of the right form", key);
}

int call_for_done(struct lockclient *lc, const struct call *call, const char *key,
                  struct lockclient_error *error)
{
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = call_run(lc, call, &reply, NULL, error);
    if (r < 0)
        return r;
    const char *reason = NULL;
    r = message_parse_done(reply.out.data, reply.out.size, key, &reason);
    return call_check_reply(call, r, reason, error);
}

int call_for_version(struct lockclient *lc, const struct call *call, uint64_t version,
                     struct lockclient_error *error)
{
    CLEANUP_TRANSPORT_REPLY struct transport_reply reply;
    int r = call_run(lc, call, &reply, NULL, error);
    if (r < 0)
        return r;
    const char *reason = NULL;
    r = message_parse_version(reply.out.data, reply.out.size, version, &reason);
    return call_check_reply(call, r, reason, error);
}
